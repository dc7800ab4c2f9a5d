/**
 * How many outcomes go to the broker together: in a row, or in an atomic batch. A row costs the server half of what a
 * batch does, but a server that flushes to its disk before it answers (`sync_interval: always`) flushes each message of a
 * row, and a batch only once. It does not say so; it shows.
 */

/** Fewer say nothing about how long one takes. */
const MEASURED_LEAST = 32;
/** A message of a row takes a server that does not flush a fraction of this, unless its machine is busy. */
const SLOW_MS = 0.1;
/** So many slow rows one after the other are no accident; of so many batches the quickest counts, since the first wait for rows. */
const SAMPLES = 4;
/** What was found holds for so long. */
const HOLDS_MS = 30_000;

export class RowWay {
  #slow = 0;
  /** What a message took: of the newest row, and of each batch that was tried. */
  #rowMs = 0;
  #batchMs: number[] = [];
  #batchesUntilMs = Number.NEGATIVE_INFINITY;
  #rowsUntilMs = Number.NEGATIVE_INFINITY;

  /** Whether `count` messages should go in a batch. */
  isBatch(count: number, nowMs: number): boolean {
    return count >= MEASURED_LEAST && nowMs < this.#batchesUntilMs;
  }

  rowTook(count: number, tookMs: number, nowMs: number): void {
    if (count < MEASURED_LEAST || nowMs < this.#rowsUntilMs) return;
    this.#rowMs = tookMs / count;
    this.#slow = this.#rowMs > SLOW_MS ? this.#slow + 1 : 0;
    if (this.#slow < SAMPLES) return;
    this.#slow = 0;
    this.#batchMs = [];
    this.#batchesUntilMs = nowMs + HOLDS_MS;
  }

  batchTook(count: number, tookMs: number, nowMs: number): void {
    if (this.#batchMs.length === SAMPLES) return;
    this.#batchMs.push(tookMs / count);
    if (this.#batchMs.length < SAMPLES || Math.min(...this.#batchMs) * 2 < this.#rowMs) return;
    // Slow either way.
    this.#batchesUntilMs = Number.NEGATIVE_INFINITY;
    this.#rowsUntilMs = nowMs + HOLDS_MS;
  }
}
