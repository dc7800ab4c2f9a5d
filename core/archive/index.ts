export { Archive, type ArchiveCounts } from "./archive.ts";
export type { ArchiveMeta } from "./meta.ts";
export type { Outcome } from "./outcome.ts";
export type { FailedCall, Result, Value } from "./reading.ts";
export { ENDINGS, type Ending } from "./schema.ts";
