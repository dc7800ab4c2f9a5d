/** What calls printed. */
import { setTimeout as delay } from "node:timers/promises";
import { type Followed, follow } from "../broker/follow.ts";
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { openLog } from "../trust/log.ts";
import { AUTH_TAG_BYTES } from "../trust/seal.ts";
import type { TagAccess } from "./access.ts";

export interface LogText {
  stream: "stdout" | "stderr";
  text: string;
}

/** A piece of output, and whose it is. */
export interface LogPiece extends LogText {
  index: number;
  /** How often the call had been begun before, as far as its output tells. */
  run: number;
}

/** Pieces looked at in one go. */
const BATCH = 500;
/** What a call printed last may come a little after its outcome. */
const LATE_MS = 500;

type Decoder = InstanceType<typeof TextDecoder>;

/** Makes text of the pieces of many calls; a letter may be cut in two by the end of a piece. */
class Reader {
  readonly #access: TagAccess;
  readonly #calls = new Map<number, { run: number; stdout: Decoder; stderr: Decoder }>();
  /** By what authenticates them: a piece that comes again is no more output. */
  readonly #read = new Set<string>();

  constructor(access: TagAccess) {
    this.#access = access;
  }

  /** @returns undefined for a piece that was altered, is of something else, or was read before */
  read({ subject, data }: Pick<Followed, "subject" | "data">): LogPiece | undefined {
    const index = indexOf(subject);
    const { manifest, tagKey } = this.#access;
    try {
      const { stream, text, part } = openLog(tagKey, { ...manifest, index }, data);
      const id = Buffer.from(data.subarray(-AUTH_TAG_BYTES)).toString("latin1");
      if (this.#read.has(id)) return undefined;
      this.#read.add(id);
      let call = this.#calls.get(index);
      if (call === undefined || part === 0) {
        const run = call === undefined ? 0 : call.run + 1;
        call = { run, stdout: new TextDecoder(), stderr: new TextDecoder() };
        this.#calls.set(index, call);
      }
      return { index, run: call.run, stream, text: call[stream].decode(text, { stream: true }) };
    } catch (error) {
      if (error instanceof RefusedError || error instanceof DecodeError || error instanceof RangeError)
        return undefined;
      throw error;
    }
  }
}

/** The stored console output of a call or of all, in the order in which it was written; altered pieces are passed over. */
export async function* readLog(access: TagAccess, index: number | "*"): AsyncGenerator<LogPiece> {
  const { u, reader, manifest } = access;
  const pieces = new Reader(access);
  for await (const stored of reader.all(streamOf.logs(u), subjectOf.log(u, manifest.tag, index))) {
    const piece = pieces.read(stored);
    if (piece !== undefined) yield piece;
  }
}

/** Batches that are there and that come until the signal aborts, and then once more what is there. */
async function* stored(access: TagAccess, subject: string, signal: AbortSignal): AsyncGenerator<Followed[]> {
  const { u, session } = access;
  const stream = streamOf.logs(u);
  let next = 1;
  for (const forever of [true, false]) {
    const options = { forever, batch: BATCH, ...(forever ? { signal } : {}) };
    for await (const batch of follow(session.nc, stream, subject, next, options)) {
      next = batch.at(-1)!.seq + 1;
      yield batch;
    }
  }
}

/**
 * As {@link readLog}, and goes on with what calls print as they run.
 * @param ended resolves when they have ended
 * @param signal ends it at once
 */
export async function* followLog(
  access: TagAccess,
  index: number | "*",
  ended: Promise<void>,
  signal?: AbortSignal,
): AsyncGenerator<LogPiece> {
  const last = new AbortController();
  const stop = () => last.abort();
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  let failed: unknown;
  ended
    .then(() => delay(LATE_MS))
    .catch((error) => {
      failed = error;
    })
    .finally(stop);
  const pieces = new Reader(access);
  try {
    for await (const batch of stored(access, subjectOf.log(access.u, access.manifest.tag, index), last.signal)) {
      for (const message of batch) {
        const piece = pieces.read(message);
        if (piece !== undefined) yield piece;
      }
      if (signal?.aborted === true) return;
    }
    if (failed !== undefined) throw failed;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
