/** Running calls again that fail: when, and which never. */

/** Pause before the second attempt, in milliseconds; each further pause is twice as long, */
const FIRST_PAUSE_MS = 1_000;
/** at most so long, */
const LONGEST_PAUSE_MS = 5 * 60_000;
/** and up to a fifth longer or shorter, so that calls that failed together do not come again together. */
const JITTER = 0.2;

/**
 * How long to wait after a failed attempt.
 * @param attempt the one that failed, from 1 on
 * @param random a number from 0 to 1
 * @returns milliseconds
 */
export function pauseMs(attempt: number, random: number = Math.random()): number {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
  return Math.round(pause * (1 + JITTER * (2 * random - 1)));
}

/** By name: the class in captured code is a copy of the one here. */
export function isPermanent(error: unknown): boolean {
  try {
    return (error as { name?: unknown } | null | undefined)?.name === "PermanentError";
  } catch {
    // A getter of the user's threw.
    return false;
  }
}
