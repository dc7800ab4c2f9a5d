/**
 * What became of one delivery of a call message that was handed back: a failed attempt, or a worker that stopped.
 * The server's own count of deliveries does not tell these from workers that vanished.
 */
import { DecodeError } from "../errors.ts";
import { list, recordType, struct, text, u32, u64 } from "./record.ts";
import { open, type SealContext, SealKind, seal } from "./seal.ts";

/** Calls of the message that are still to be run, `from` up to but not `to`, and how often each was tried. */
export interface OpenCalls {
  from: number;
  to: number;
  attempts: number;
}

export interface RunRecord {
  /** Names of the workers that vanished with deliveries up to this one, in order; empty where one is not known. */
  lostOn: string[];
  open: OpenCalls[];
  /** Name of the worker. */
  worker: string;
  /** When it was handed back, by the worker's clock, in milliseconds since 1970. */
  atMs: number;
}

/** Who began with a delivery, written while it runs: should the worker vanish, it is known which it was. */
export interface BegunRecord {
  /** As `deliveryName` spells it. */
  delivery: string;
  /** Name of the worker. */
  worker: string;
  /** When it began, by the worker's clock, in milliseconds since 1970. */
  atMs: number;
}

/** The call message that a record is about. */
export interface RunOwner extends Omit<SealContext, "kind" | "part" | "last"> {
  callHash: Uint8Array;
}

const runRecord = recordType<RunRecord>("humq/run/1", {
  lostOn: list(text),
  open: list(struct<OpenCalls>({ from: u64, to: u64, attempts: u32 })),
  worker: text,
  atMs: u64,
});

const begunRecord = recordType<BegunRecord>("humq/begun/1", { delivery: text, worker: text, atMs: u64 });

export function sealBegun(tagKey: Uint8Array, owner: RunOwner, record: BegunRecord): Uint8Array {
  return seal(tagKey, { ...owner, kind: SealKind.run }, begunRecord.encode(record));
}

/** @throws RefusedError | DecodeError where it is no such record of this call message */
export function openBegun(tagKey: Uint8Array, owner: RunOwner, sealed: Uint8Array): BegunRecord {
  return begunRecord.decode(open(tagKey, { ...owner, kind: SealKind.run }, sealed));
}

export function sealRun(tagKey: Uint8Array, owner: RunOwner, record: RunRecord): Uint8Array {
  return seal(tagKey, { ...owner, kind: SealKind.run }, runRecord.encode(record));
}

/** @throws RefusedError | DecodeError where it is no record of this call message */
export function openRun(tagKey: Uint8Array, owner: RunOwner, sealed: Uint8Array): RunRecord {
  const record = runRecord.decode(open(tagKey, { ...owner, kind: SealKind.run }, sealed));
  let next = owner.first;
  for (const { from, to } of record.open) {
    if (from < next || to <= from) throw new DecodeError("a run record names its calls out of order");
    next = to;
  }
  if (next > owner.first + owner.count) throw new DecodeError("a run record names calls that are not the message's");
  return record;
}
