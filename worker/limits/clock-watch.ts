/** Notices that this process did not run for a while: it was stopped, or its machine slept. */

/** A timer that comes this often tells how long it really was. */
const TICK_MS = 1_000;

export class ClockWatch {
  readonly #mostMs: number;
  readonly #onGap: (gapMs: number) => void;
  readonly #timer: NodeJS.Timeout;
  #monotonicMs = performance.now();
  #wallMs = Date.now();
  #gaps = 0;

  /**
   * @param mostMs a longer gap is told
   * @param onGap told of a gap, by a tick or by {@link check}, whichever comes first
   */
  constructor(mostMs: number, onGap: (gapMs: number) => void) {
    this.#mostMs = mostMs;
    this.#onGap = onGap;
    this.#timer = setInterval(() => this.check(), TICK_MS);
    this.#timer.unref();
  }

  /** Looks now. @returns how many gaps there were so far */
  check(): number {
    const monotonicMs = performance.now();
    const wallMs = Date.now();
    // The monotonic clock stands still while a machine sleeps; the wall clock may be set, which only costs a little work.
    const gapMs = Math.max(monotonicMs - this.#monotonicMs, wallMs - this.#wallMs);
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
    if (gapMs > this.#mostMs) {
      this.#gaps++;
      this.#onGap(gapMs);
    }
    return this.#gaps;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
