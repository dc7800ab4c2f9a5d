/** What a submitter signs to take calls of a tag back (cancel) and to have them run anew (retry). */
import { KEY_BYTES } from "./keys.ts";
import { fixed, list, recordType, struct, text, u32, u64 } from "./record.ts";

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

export const cancelRecord = recordType<CancelRecord>("humq/cancel/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  deleted: u32,
  entries: list(struct<CancelEntry>({ calls: list(generationRange), reason: text, createdMs: u64 })),
});

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
