/**
 * The messages between a worker and its executor.
 *
 * A frame is a u32 length (big-endian), one byte that says its kind, and the kind's record (core/trust/record.ts).
 * Records and not CBOR: the worker must read what hostile user code may have written to the executor's pipe,
 * and a record has no tags, no nesting and no sizes to lie about. Two socket pairs carry them, not stdio and not
 * node's own IPC, so that they pass through bubblewrap and stay apart from what user code prints.
 */
import { DecodeError } from "../../core/errors.ts";
import { bytes, list, recordType, struct, text, u32, u64 } from "../../core/trust/record.ts";

/** The executor reads messages here, */
export const INPUT_FD = 3;
/** writes its own here (blocking: a worker that is slow to read slows it down), */
export const OUTPUT_FD = 4;
/** and takes the end of this one for the worker's death. */
export const LIFELINE_FD = 5;
/** A file of `POSITION_BYTES`: the call that runs, noted while outcomes are held back; see child/outcomes.ts. */
export const POSITION_FD = 6;
/** Job (u32) and index (f64), big-endian. */
export const POSITION_BYTES = 12;

/** A job as it travels; `id` names it between worker and executor. */
export interface JobFrame {
  id: number;
  tagId: string;
  first: number;
  count: number;
  /** Index of the first call to run, and one past that of the last. */
  from: number;
  to: number;
  /** Which attempt it is, and how many runs of it were lost before: for the outcome's bookkeeping. */
  attempt: number;
  losses: number;
  /** 1 where the worker wants to hear of each call's beginning: it has a limit. */
  limited: number;
  /** 1 where the results of all its calls may come as one pack. */
  together: number;
  generation: number;
  callHash: Uint8Array;
  /** 0, or how many `part` messages bring the sealed arguments. */
  parts: number;
  sealed: Uint8Array;
}

/** An outcome as it travels. */
export interface OutcomeFrame {
  job: number;
  index: number;
  /** 1; of a pack all calls of the job, of which `index` is the first. */
  count: number;
  /** 1 where it is an error. */
  failed: number;
  /** 1 where the error says that it must not be tried again. */
  permanent: number;
  parts: number;
  sealed: Uint8Array;
}

const jobFields = struct<JobFrame>({
  id: u32,
  tagId: text,
  first: u64,
  count: u32,
  from: u64,
  to: u64,
  attempt: u32,
  losses: u32,
  limited: u32,
  together: u32,
  generation: u32,
  callHash: bytes,
  parts: u32,
  sealed: bytes,
});

const outcomeFields = struct<OutcomeFrame>({
  job: u32,
  index: u64,
  count: u32,
  failed: u32,
  permanent: u32,
  parts: u32,
  sealed: bytes,
});

const define = <T extends object>(name: string, fields: Parameters<typeof recordType<T>>[1]) =>
  recordType<T>(`humq/executor-${name}/1`, fields);

/** Every kind of message; the position in this table is the kind's byte. */
const records = {
  /** To the executor, first of all. `folders`: kept empty between calls, the first is the working directory; `worker`: its name. */
  start: define<{
    inlineLimitBytes: number;
    outputLimitBytes: number;
    marker: string;
    folders: string[];
    watchLifeline: number;
    worker: string;
  }>("start", {
    inlineLimitBytes: u32,
    outputLimitBytes: u32,
    marker: text,
    folders: list(text),
    watchLifeline: u32,
    worker: text,
  }),
  code: define<{ codeId: string; code: Uint8Array; packagesDir: string }>("code", {
    codeId: text,
    code: bytes,
    packagesDir: text,
  }),
  tag: define<{
    tagId: string;
    codeId: string;
    tagKey: Uint8Array;
    rootKey: Uint8Array;
    user: string;
    tag: string;
  }>("tag", { tagId: text, codeId: text, tagKey: bytes, rootKey: bytes, user: text, tag: text }),
  forget: define<{ tagIds: string[]; codeIds: string[] }>("forget", { tagIds: list(text), codeIds: list(text) }),
  run: define<{ jobs: JobFrame[] }>("run", { jobs: list(jobFields) }),
  /** A sealed part of a job's arguments. */
  part: define<{ job: number; part: number; sealed: Uint8Array }>("part", { job: u32, part: u32, sealed: bytes }),
  /** Do not start these jobs. */
  withdraw: define<{ jobs: number[] }>("withdraw", { jobs: list(u32) }),
  /** What the running call was seen to hold, with all that it started. */
  memory: define<{ job: number; bytes: number }>("memory", { job: u32, bytes: u64 }),

  /** From the executor: it is up. */
  ready: define<{ version: string }>("ready", { version: text }),
  /** A call of a limited job begins. */
  begun: define<{ job: number; index: number }>("begun", { job: u32, index: u64 }),
  done: define<{ outcomes: OutcomeFrame[] }>("done", { outcomes: list(outcomeFields) }),
  refused: define<{ job: number; reason: string }>("refused", { job: u32, reason: text }),
  resultPart: define<{ job: number; index: number; part: number; sealed: Uint8Array }>("result-part", {
    job: u32,
    index: u64,
    part: u32,
    sealed: bytes,
  }),
  /** Those of the named jobs that were not started and never will be. */
  withdrawn: define<{ jobs: number[] }>("withdrawn", { jobs: list(u32) }),
  /** It starts nothing more: what is not done was not started. */
  retired: define<{ reason: string }>("retired", { reason: text }),
};

type Records = typeof records;
export type MessageKind = keyof Records;
export type MessageBody<K extends MessageKind> = ReturnType<Records[K]["decode"]>;
/** A decoded message: its kind and body. */
export type Message = { [K in MessageKind]: { kind: K; body: MessageBody<K> } }[MessageKind];

const kinds = Object.keys(records) as MessageKind[];
const HEADER_BYTES = 5;

/** A whole frame, ready to be written. */
export function encodeFrame<K extends MessageKind>(kind: K, body: MessageBody<K>): Buffer[] {
  const record = records[kind].encode(body as never);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(record.length + 1, 0);
  header[4] = kinds.indexOf(kind);
  return [header, Buffer.from(record.buffer, record.byteOffset, record.byteLength)];
}

const NOTHING = new Uint8Array();

/** A frame of a sealed part, its bytes given in pieces: they come last in its record, and are not copied. */
export function encodePartFrame<K extends "part" | "resultPart">(
  kind: K,
  body: Omit<MessageBody<K>, "sealed">,
  sealed: readonly Uint8Array[],
): Uint8Array[] {
  const size = sealed.reduce((sum, piece) => sum + piece.length, 0);
  const [header, record] = encodeFrame(kind, { ...body, sealed: NOTHING } as MessageBody<K>) as [Buffer, Buffer];
  header.writeUInt32BE(record.length + 1 + size, 0);
  // In place of the length of nothing.
  record.writeUInt32BE(size, record.length - 4);
  return [header, record, ...sealed];
}

/** @throws DecodeError where the frame's content is no message */
function decodeFrame(frame: Buffer): Message {
  const kind = kinds[frame[0] ?? kinds.length];
  if (kind === undefined) throw new DecodeError("a frame of an unknown kind");
  return { kind, body: records[kind].decode(frame.subarray(1)) } as Message;
}

/** Cuts a stream of bytes into messages, whatever pieces it comes in. */
export class FrameReader {
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #buffered = 0;
  #wanted = 4;

  /** @param limit the largest frame that is believed, in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Adds what was read and yields the messages that are now complete.
   * @throws DecodeError where the stream is not one of frames
   */
  *push(chunk: Buffer): Generator<Message> {
    this.#pieces.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered < this.#wanted) return;
    let buffer = this.#pieces.length === 1 ? chunk : Buffer.concat(this.#pieces, this.#buffered);
    this.#pieces = [];
    this.#wanted = 4;
    while (buffer.length >= 4) {
      const length = buffer.readUInt32BE(0);
      if (length > this.#limit)
        throw new DecodeError(`a frame of ${length} bytes is above the limit of ${this.#limit}`);
      if (buffer.length < 4 + length) {
        this.#wanted = 4 + length;
        break;
      }
      const frame = buffer.subarray(4, 4 + length);
      buffer = buffer.subarray(4 + length);
      yield decodeFrame(frame);
    }
    this.#pieces = buffer.length > 0 ? [buffer] : [];
    this.#buffered = buffer.length;
  }
}
