/** Moments as text. Numbers that others wrote may stand for no moment at all: then they are shown as they came. */

/** What a Date can hold, in milliseconds before and after 1970 (ECMA-262, section 21.4.1.1). */
const MOST_MS = 8.64e15;

/** `2026-01-31T00:00:00.000Z` */
export function isoTime(ms: number): string {
  return Math.abs(ms) <= MOST_MS ? new Date(ms).toISOString() : `${ms} ms after 1970, which is no time`;
}
