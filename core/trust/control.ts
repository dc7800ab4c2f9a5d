/** What a submitter signs to take calls of a tag back (cancel) and to have them run anew (retry). */
import { KEY_BYTES, type Signer } from "./keys.ts";
import { bytes, fixed, list, recordType, struct, text, u32, u64 } from "./record.ts";
import { open, type SealContext, SealKind, seal } from "./seal.ts";
import { openSigned, signRecord } from "./signed.ts";

const NO_REASON = new Uint8Array();

/** Calls `first` to `last`, both included, in one generation. */
export interface GenerationRange {
  first: number;
  last: number;
  generation: number;
}

const generationRange = struct<GenerationRange>({ first: u64, last: u64, generation: u32 });

export interface CancelEntry {
  /** In order. A call is cancelled in the generation given and in earlier ones: a later retry lifts it. */
  calls: GenerationRange[];
  /** Empty for none. */
  reason: string;
  /** Milliseconds since 1970. */
  createdMs: number;
}

/** All that was ever cancelled of a tag; each cancel adds an entry. */
export interface CancelRecord {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** 1 where the tag is being deleted: its calls are dropped and nothing is stored for them. */
  deleted: number;
  entries: CancelEntry[];
}

/** As it is stored: a reason is for those who hold the tag key. */
type StoredEntry = Omit<CancelEntry, "reason"> & { reason: Uint8Array };

const cancelRecord = recordType<Omit<CancelRecord, "entries"> & { entries: StoredEntry[] }>("humq/cancel/2", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  deleted: u32,
  entries: list(struct<StoredEntry>({ calls: list(generationRange), reason: bytes, createdMs: u64 })),
});

function reasonContext({ rootKey, user, tag }: Pick<CancelRecord, "rootKey" | "user" | "tag">): SealContext {
  return { rootKey, user, tag, kind: SealKind.cancelReason, first: 0, count: 0, generation: 0 };
}

/** @param tagKey seals the reasons */
export function signCancel(record: CancelRecord, tagKey: Uint8Array, signer: Signer): Uint8Array {
  const context = reasonContext(record);
  const entries = record.entries.map(({ reason, ...entry }) => ({
    ...entry,
    reason: reason === "" ? NO_REASON : seal(tagKey, context, Buffer.from(reason)),
  }));
  return signRecord(cancelRecord, { ...record, entries }, signer);
}

/** The record that a tag is being deleted: for whoever does not hold its key (any more) as well. */
export function signDeletion(owner: Pick<CancelRecord, "rootKey" | "user" | "tag">, signer: Signer): Uint8Array {
  return signRecord(cancelRecord, { ...owner, deleted: 1, entries: [] }, signer);
}

/**
 * @param signingKey the submitter's, `name` theirs for the message
 * @throws RefusedError | DecodeError where it is not what the submitter signed
 */
export function openCancel(stored: Uint8Array, tagKey: Uint8Array, signingKey: Uint8Array, name: string): CancelRecord {
  const record = openSigned(cancelRecord, stored, signingKey, name);
  const context = reasonContext(record);
  const entries = record.entries.map(({ reason, ...entry }) => ({
    ...entry,
    reason: reason.length === 0 ? "" : Buffer.from(open(tagKey, context, reason)).toString("utf8"),
  }));
  return { ...record, entries };
}

export interface RetryRecord {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** From 1 on, without gaps; where two records name a call the higher number counts. */
  number: number;
  /** In order; `generation` is the one in which the calls run now. */
  calls: GenerationRange[];
  /** Number of pages in which the calls were signed anew. */
  pages: number;
  /** Milliseconds since 1970. */
  createdMs: number;
}

export const retryRecord = recordType<RetryRecord>("humq/retry/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  number: u32,
  calls: list(generationRange),
  pages: u32,
  createdMs: u64,
});
