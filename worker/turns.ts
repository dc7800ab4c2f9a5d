/**
 * Keeping room for the tag whose turn it is, where its next message does not fit yet.
 *
 * While room is kept nothing else is taken (but what ends before the room is there), so slots may stand idle. That is
 * bounded: where the room does not come about, others are served for three times as long, then it is kept for twice
 * as long as before. So at most a quarter of the time is given away, and whatever holds the slots, a time comes that
 * is long enough.
 */
import type { ActiveTag } from "./active.ts";

const FIRST_KEEP_MS = 10_000;
const OTHERS_TIMES = 3;

interface Turn {
  /** When the room began to be kept, on the clock of `performance.now()`. */
  sinceMs: number;
  keepMs: number;
}

export class Turns {
  readonly #turns = new WeakMap<ActiveTag, Turn>();

  /** Whether room is kept for the tag now; its turn begins with the first time that this is asked. */
  keeps(tag: ActiveTag, nowMs: number): boolean {
    const turn = this.#turns.get(tag);
    if (turn === undefined) {
      this.#turns.set(tag, { sinceMs: nowMs, keepMs: FIRST_KEEP_MS });
      return true;
    }
    if (nowMs >= turn.sinceMs + turn.keepMs * (1 + OTHERS_TIMES)) {
      turn.sinceMs = nowMs;
      turn.keepMs *= 2;
    }
    return nowMs < turn.sinceMs + turn.keepMs;
  }

  /** When {@link keeps} will change; never for a tag whose turn has not begun. */
  changesAtMs(tag: ActiveTag, nowMs: number): number {
    const turn = this.#turns.get(tag);
    if (turn === undefined) return Number.POSITIVE_INFINITY;
    const endMs = turn.sinceMs + turn.keepMs;
    return nowMs < endMs ? endMs : endMs + turn.keepMs * OTHERS_TIMES;
  }

  /** Its turn is over: it gets what it needs, or wants nothing. @returns for how long room was kept, in milliseconds */
  end(tag: ActiveTag, nowMs: number): number {
    const turn = this.#turns.get(tag);
    this.#turns.delete(tag);
    return turn === undefined ? 0 : Math.min(nowMs - turn.sinceMs, turn.keepMs);
  }
}
