import { ArchiveError } from "../errors.ts";
import { decodeValue, encodeResult, errorLine, jsonOf, MAX_DEPTH, MAX_ENCODED_BYTES } from "../values/index.ts";
import { ENDINGS, type Ending } from "./schema.ts";

/** What is known of a call's run; what is not known is absent. */
export interface Bookkeeping {
  /** Name of the worker that stored the outcome, and its datacenter. */
  worker?: string;
  datacenter?: string;
  /** Runs that came to an outcome. */
  attempts?: number;
  /** Runs whose worker vanished. */
  losses?: number;
  /** When the last run began, by the worker's clock, in milliseconds since 1970, and how long it took. */
  startedMs?: number;
  durationMs?: number;
  /** The most memory that its processes held, in bytes. */
  peakMemoryBytes?: number;
}

/** What a call ended with. */
export interface Outcome extends Bookkeeping {
  /** The call's number in its tag, from 0. */
  index: number;
  /** 0; raised by a retry. */
  generation: number;
  state: Ending;
  /** The result, as `encodeResult` encodes it; of a call that succeeded. */
  value?: Uint8Array;
  /** The error, as `encodeError` encodes it; of any other. */
  error?: Uint8Array;
}

/** An outcome in the form its row has; the worker apart. */
export interface Row {
  outcome: Outcome;
  state: number;
  value: string | Uint8Array | null;
  message: string | null;
}

/** Larger results are stored as they came: SQLite's JSON functions are of little use on them. */
const MAX_JSON_BYTES = 8 * 1024 * 1024;

/**
 * Brings an outcome into the form it is stored in.
 *
 * @throws ArchiveError if it is incomplete or larger than a row can be.
 */
export function rowOf(outcome: Outcome): Row {
  const { index, generation, value, error } = outcome;
  const state = ENDINGS.indexOf(outcome.state);
  if (!Number.isSafeInteger(index) || index < 0 || !Number.isSafeInteger(generation) || generation < 0 || state < 0) {
    throw new ArchiveError(`not an outcome: call ${index}, generation ${generation}, state ${outcome.state}`);
  }
  const bytes = state === 0 ? value : error;
  if (bytes === undefined) {
    throw new ArchiveError(
      `the outcome of call ${index} is ${outcome.state}, but has no ${state === 0 ? "result" : "error"}`,
    );
  }
  if (bytes.length > MAX_ENCODED_BYTES) {
    throw new ArchiveError(
      `call ${index} ended with ${megabytes(bytes.length)}; an archive keeps at most ${megabytes(MAX_ENCODED_BYTES)} a call: let the task write a file, or split it`,
    );
  }
  if (state !== 0) return { outcome, state, value: null, message: messageOf(bytes) };
  return { outcome, state, value: (bytes.length <= MAX_JSON_BYTES && jsonOf(bytes)) || bytes, message: null };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}

/** The line of an error that can be read without humq. */
function messageOf(bytes: Uint8Array): string {
  try {
    return errorLine(bytes).toWellFormed();
  } catch {
    return "an error that cannot be decoded";
  }
}

/** The bytes of a stored result, as `encodeResult` encoded them. */
export function bytesOfStored(stored: unknown, index: number): Uint8Array {
  return typeof stored === "string" ? encodeResult(parse(stored, index)) : checkBytes(stored, index);
}

/** A stored result itself. */
export function valueOfStored(stored: unknown, index: number): unknown {
  return typeof stored === "string" ? parse(stored, index) : decodeValue(checkBytes(stored, index));
}

function parse(json: string, index: number): unknown {
  if (isTooDeep(json)) {
    throw new ArchiveError(
      `the result of call ${index} in this archive is damaged: it is nested more than ${MAX_DEPTH} deep`,
    );
  }
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new ArchiveError(`the result of call ${index} in this archive is damaged: it is not JSON`, { cause: error });
  }
}

/** `JSON.parse` takes any depth, but what goes through the value afterwards does not. */
function isTooDeep(json: string): boolean {
  // Most texts are too short for it.
  if (json.length <= 2 * MAX_DEPTH) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(json, at);
    else if (unit === BRACKET || unit === BRACE) {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === BRACKET + 2 || unit === BRACE + 2) depth--;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/** Where the string that begins at `start` ends; the end of the text where it does not. */
function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let escapes = 0;
    while (json.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return json.length;
}

export function checkBytes(stored: unknown, index: number): Uint8Array {
  if (stored instanceof Uint8Array) return stored;
  throw new ArchiveError(`the outcome of call ${index} in this archive is damaged: it has neither result nor error`);
}
