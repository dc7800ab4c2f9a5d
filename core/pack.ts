/**
 * The plaintext of a pack: what all calls of a chunk ended with, each with what the worker noted about its run.
 *
 * Format: a canonical record (core/trust/record.ts) of domain `humq/pack/1`. `runs` holds 12 bytes a call, big-endian
 * u32s: when it began, in milliseconds after `startedMs`; how long it ran, in microseconds; its peak memory in KiB, 0
 * where it was not measured. `values` holds `encodeResult`'s bytes of each call. Where the submitter deleted what calls
 * ended with, `notes` says what is read in their place: `calls` has a bit for each call (the first is the lowest bit of the
 * first byte), and their values are empty.
 */
import { DecodeError } from "./errors.ts";
import { ERROR_STATES, type ErrorState, type OutcomeMeta } from "./outcome.ts";
import { bytes, list, recordType, struct, text, u32, u64 } from "./trust/record.ts";

/** What is read in the place of results that were deleted. */
export interface PackNote {
  calls: Uint8Array;
  state: string;
  /** `encodeError`'s bytes. */
  error: Uint8Array;
}

interface Pack {
  worker: string;
  attempts: number;
  losses: number;
  startedMs: number;
  runs: Uint8Array;
  values: Uint8Array[];
  notes: PackNote[];
}

const pack = recordType<Pack>("humq/pack/1", {
  worker: text,
  attempts: u32,
  losses: u32,
  startedMs: u64,
  runs: bytes,
  values: list(bytes),
  notes: list(struct<PackNote>({ calls: bytes, state: text, error: bytes })),
});

const RUN_BYTES = 12;
const MOST_U32 = 0xffff_ffff;

/** One call of a pack. */
export interface PackedCall {
  meta: OutcomeMeta;
  /** The encoded result; of a call with a `state` the encoded error in its place. */
  value: Uint8Array;
}

/** A chunk's calls as they end, in order, on their way into a pack. */
export class PackBuilder {
  readonly #values: Uint8Array[] = [];
  readonly #metas: OutcomeMeta[] = [];
  /** Bytes of the results. */
  bytes = 0;

  get length(): number {
    return this.#values.length;
  }

  add(meta: OutcomeMeta, value: Uint8Array): void {
    this.#metas.push(meta);
    this.#values.push(value);
    this.bytes += value.length;
  }

  /** What was added, to be stored call by call. */
  *calls(): Generator<PackedCall> {
    for (const [i, meta] of this.#metas.entries()) yield { meta, value: this.#values[i]! };
  }

  /** @param meta of all its calls */
  encode({ worker, attempts, losses }: Required<Pick<OutcomeMeta, "worker" | "attempts" | "losses">>): Uint8Array {
    const startedMs = Math.max(0, Math.round(this.#metas[0]?.startedMs ?? 0));
    const runs = Buffer.allocUnsafe(this.#metas.length * RUN_BYTES);
    for (const [i, meta] of this.#metas.entries()) {
      const at = i * RUN_BYTES;
      runs.writeUInt32BE(bounded(meta.startedMs - startedMs), at);
      runs.writeUInt32BE(bounded(meta.durationMs * 1000), at + 4);
      runs.writeUInt32BE(bounded((meta.peakMemoryBytes ?? 0) / 1024), at + 8);
    }
    const values = this.#values;
    return pack.encode({ worker: worker.toWellFormed(), attempts, losses, startedMs, runs, values, notes: [] });
  }
}

function bounded(value: number): number {
  return Math.min(MOST_U32, Math.max(0, Math.round(value)));
}

function isErrorState(state: string): state is ErrorState {
  return (ERROR_STATES as readonly string[]).includes(state);
}

function decode(plaintext: Uint8Array, count: number): Pack {
  const decoded = pack.decode(plaintext);
  const { runs, values, notes } = decoded;
  if (values.length !== count || runs.length !== count * RUN_BYTES)
    throw new DecodeError(`a pack of ${count} calls holds ${values.length} results`);
  for (const { calls, state } of notes) {
    if (calls.length !== Math.ceil(count / 8) || !isErrorState(state))
      throw new DecodeError("a pack has a note that says nothing about its calls");
  }
  return decoded;
}

/**
 * @param count of calls that it has to be of
 * @throws DecodeError where the bytes are no pack of so many calls
 */
export function decodePack(plaintext: Uint8Array, count: number): PackedCall[] {
  const { worker, attempts, losses, startedMs, runs, values, notes } = decode(plaintext, count);
  const table = Buffer.from(runs.buffer, runs.byteOffset, runs.byteLength);
  const calls = values.map((value, i): PackedCall => {
    const at = i * RUN_BYTES;
    const peakMemoryBytes = table.readUInt32BE(at + 8) * 1024;
    const meta: OutcomeMeta = {
      startedMs: startedMs + table.readUInt32BE(at),
      durationMs: table.readUInt32BE(at + 4) / 1000,
      ...(peakMemoryBytes > 0 && { peakMemoryBytes }),
      ...(worker !== "" && { worker }),
      ...(attempts > 0 && { attempts }),
      ...(losses > 0 && { losses }),
    };
    return { meta, value };
  });
  for (const { calls: named, state, error } of notes) {
    for (const [i, call] of calls.entries()) {
      if (isErrorState(state) && hasBit(named, i)) {
        call.meta.state = state;
        call.value = error;
      }
    }
  }
  return calls;
}

function hasBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3]! >> (at & 7)) & 1) === 1;
}

/**
 * The same pack without some of its results.
 * @param offsets of the calls, from the pack's first on
 * @param note what is read in their place
 * @throws DecodeError as {@link decodePack}
 */
export function withoutResults(
  plaintext: Uint8Array,
  count: number,
  offsets: Iterable<number>,
  note: Pick<PackNote, "state" | "error">,
): Uint8Array {
  const decoded = decode(plaintext, count);
  const values = [...decoded.values];
  const calls = new Uint8Array(Math.ceil(count / 8));
  for (const offset of offsets) {
    values[offset] = new Uint8Array();
    calls[offset >> 3]! |= 1 << (offset & 7);
  }
  return pack.encode({ ...decoded, values, notes: [...decoded.notes, { calls, ...note }] });
}
