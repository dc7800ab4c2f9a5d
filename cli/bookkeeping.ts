import type { Bookkeeping } from "../core/archive/index.ts";

/** What is known of a call's run as --json shows it: every field, null where it is not known. */
export type BookkeepingJson = { [K in keyof Required<Bookkeeping>]: Required<Bookkeeping>[K] | null };

export function bookkeepingJson(known: Bookkeeping): BookkeepingJson {
  return {
    worker: known.worker ?? null,
    datacenter: known.datacenter ?? null,
    attempts: known.attempts ?? null,
    losses: known.losses ?? null,
    startedMs: known.startedMs ?? null,
    durationMs: known.durationMs ?? null,
    peakMemoryBytes: known.peakMemoryBytes ?? null,
  };
}

/** Names of the fields, for help texts. */
export const BOOKKEEPING_FIELDS = `"${Object.keys(bookkeepingJson({})).join('", "')}"`;
