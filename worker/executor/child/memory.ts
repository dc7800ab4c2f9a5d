/** The peak memory of calls, as cheaply as calls are short. */

/** No two looks within this time, in milliseconds: a look takes up to 10 us, too much for each of the tiniest calls. */
const REST_MS = 5;

/** What the process held at most when it was last looked at, */
let peakBytes = 0;
/** and what it held then. */
let heldBytes = 0;
let lookedMs = Number.NEGATIVE_INFINITY;

/** @returns undefined where an earlier call has left no room for another open file, which it takes to look */
function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}

function look(): void {
  lookedMs = performance.now();
  // In KiB; it only ever grows. Where it did, that was the call; else the call stayed below what others had taken.
  const peak = process.resourceUsage().maxRSS * 1024;
  heldBytes = peak > peakBytes ? peak : (residentBytes() ?? heldBytes);
  peakBytes = Math.max(peakBytes, peak);
}

/** Of one call. */
export class CallMemory {
  #seenBytes = 0;

  /** The worker saw so much in the call's process and all that it started. */
  seen(bytes: number): void {
    this.#seenBytes = Math.max(this.#seenBytes, bytes);
  }

  /** @param durationMs how long the call took, which ends now; of those that take next to nothing only some are looked at */
  peakBytes(durationMs: number): number {
    if (durationMs >= REST_MS || performance.now() - lookedMs >= REST_MS) look();
    return Math.max(heldBytes, this.#seenBytes);
  }
}
