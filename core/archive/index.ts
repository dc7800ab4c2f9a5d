export { Archive, type ArchiveCounts } from "./archive.ts";
export { type ArchiveMeta, MOST_CALLS } from "./meta.ts";
export type { Bookkeeping, Outcome } from "./outcome.ts";
export type { EndedCall, FailedCall, Result, Value } from "./reading.ts";
export { ENDINGS, type Ending } from "./schema.ts";
