/**
 * How many jobs of a tag an executor is handed at once.
 *
 * Tiny calls should never wait for the pipe; long ones should never wait behind each other while another executor
 * is free. So a tag's jobs are handed over ahead up to a few milliseconds of work, judged by the longest of the
 * recent ones.
 */

/** Work that lies ready in an executor, in milliseconds. */
const AHEAD_MS = 10;
const MAX_DEPTH = 256;
/** How much of the longest duration remains with each shorter one. */
const DECAY = 0.97;

export class Pace {
  #longestMs: number | undefined;

  note(durationMs: number): void {
    this.#longestMs = Math.max(durationMs, (this.#longestMs ?? 0) * DECAY);
  }

  /** Jobs in an executor at a time, the running one included. One until something is known. */
  get depth(): number {
    if (this.#longestMs === undefined) return 1;
    return Math.min(MAX_DEPTH, Math.max(1, Math.floor(AHEAD_MS / this.#longestMs)));
  }
}
