/**
 * The plaintext of an outcome: what the worker noted about the run, then the value.
 *
 * Format: a canonical record (core/trust/record.ts) of domain `humq/outcome/1`. `value` is `encodeResult`'s or
 * `encodeError`'s bytes; where the value was too large for a message, `parts` says in how many sealed parts (kind
 * `result-part`) it lies in the object store, `bytes` how long it is, and `value` is the hash of their marks (core/trust/parts.ts).
 */
import { DecodeError } from "./errors.ts";
import { KEY_BYTES } from "./trust/keys.ts";
import { bytes as bytesField, recordType, text, u32, u64 } from "./trust/record.ts";

/** How a call ended that did not succeed; `failed` where its function threw. */
export const ERROR_STATES = ["failed", "killed", "lost", "refused", "cancelled"] as const;
export type ErrorState = (typeof ERROR_STATES)[number];

/** Bookkeeping of one run, known only to those who can open the outcome. */
export interface OutcomeMeta {
  /** When the call began, by the worker's clock, in milliseconds since 1970. */
  startedMs: number;
  /** How long the function ran, in milliseconds, to the microsecond. */
  durationMs: number;
  /** The process's peak resident memory, where it was measured (calls of 50 ms and more). */
  peakMemoryBytes?: number;
  /** Name of the worker that ran it. */
  worker?: string;
  /** Runs that came to an end of their own, this one included; 0 where it never ran. */
  attempts?: number;
  /** Runs before this one whose worker vanished. */
  losses?: number;
  /** Of an error: how the call ended. Default `failed`. */
  state?: ErrorState;
}

/** A value that lies elsewhere, in parts. */
export interface SpilledValue {
  parts: number;
  /** Length of the whole value in bytes. */
  bytes: number;
  /** Of the parts' marks (core/trust/parts.ts), 32 bytes: those of another run of the same call are not these. */
  hash: Uint8Array;
}

export interface DecodedOutcome {
  meta: OutcomeMeta;
  /** The value's encoding; empty where it is spilled. */
  value: Uint8Array;
  spilled?: SpilledValue;
}

const outcome = recordType<{
  startedMs: number;
  durationUs: number;
  peakMemoryBytes: number;
  worker: string;
  attempts: number;
  losses: number;
  state: string;
  parts: number;
  bytes: number;
  value: Uint8Array;
}>("humq/outcome/1", {
  startedMs: u64,
  durationUs: u64,
  peakMemoryBytes: u64,
  worker: text,
  attempts: u32,
  losses: u32,
  state: text,
  parts: u32,
  bytes: u64,
  value: bytesField,
});

function isErrorState(state: string): state is ErrorState {
  return (ERROR_STATES as readonly string[]).includes(state);
}

const NO_VALUE = new Uint8Array();

/** @param value the encoded result or error, or where it went if it was too large */
export function encodeOutcome(meta: OutcomeMeta, value: Uint8Array | SpilledValue): Uint8Array {
  const inline = value instanceof Uint8Array;
  return outcome.encode({
    startedMs: Math.max(0, Math.round(meta.startedMs)),
    durationUs: Math.max(0, Math.round(meta.durationMs * 1000)),
    peakMemoryBytes: meta.peakMemoryBytes ?? 0,
    worker: (meta.worker ?? "").toWellFormed(),
    attempts: meta.attempts ?? 0,
    losses: meta.losses ?? 0,
    state: meta.state ?? "",
    parts: inline ? 0 : value.parts,
    bytes: inline ? value.length : value.bytes,
    value: inline ? value : value.hash,
  });
}

/** @throws DecodeError where the bytes are no outcome */
export function decodeOutcome(plaintext: Uint8Array): DecodedOutcome {
  const { startedMs, durationUs, peakMemoryBytes, worker, attempts, losses, state, parts, bytes, value } =
    outcome.decode(plaintext);
  if (parts > 0 && value.length !== KEY_BYTES) throw new DecodeError("an outcome has no proper hash of its parts");
  return {
    meta: {
      startedMs,
      durationMs: durationUs / 1000,
      ...(peakMemoryBytes > 0 && { peakMemoryBytes }),
      ...(worker !== "" && { worker }),
      ...(attempts > 0 && { attempts }),
      ...(losses > 0 && { losses }),
      ...(isErrorState(state) && { state }),
    },
    value: parts > 0 ? NO_VALUE : value,
    ...(parts > 0 && { spilled: { parts, bytes, hash: value } }),
  };
}
