/** A moment that all threads of this process can compare, also across a sleep of the machine. */
export interface Instant {
  monotonicMs: number;
  wallMs: number;
}

export function now(): Instant {
  // `performance.now()` counts from each thread's own start.
  return { monotonicMs: Number(process.hrtime.bigint() / 1_000_000n), wallMs: Date.now() };
}

/** The monotonic clock stands still while a machine sleeps; the wall clock may be set, which only costs a little work. */
export function betweenMs(from: Instant, to: Instant): number {
  return Math.max(to.monotonicMs - from.monotonicMs, to.wallMs - from.wallMs);
}
