/**
 * How long tags rest that have nothing for this worker now. Each is looked at anew when its rest is over, so the more tags
 * rest the longer each does: a thousand workers beside a hundred tags must not wear out the broker with looks that find nothing.
 */
import type { ActiveTag } from "./active.ts";

/** A worker looks at so many resting tags a second at most, over all tags; each look takes two requests. */
const LOOKS_PER_SECOND = 5;
/** Rests differ by so much, so that workers do not all look at the same moment. */
const SPREAD = 0.25;

export class Rests {
  readonly #resting = new Set<ActiveTag>();

  /** @param leastMs for how long the tag rests where few others do */
  begin(tag: ActiveTag, leastMs: number): void {
    this.#resting.add(tag);
    const restMs = Math.max(leastMs, (this.#resting.size * 1000) / LOOKS_PER_SECOND);
    const spread = restMs > leastMs ? 1 + SPREAD * (2 * Math.random() - 1) : 1;
    tag.restUntilMs = performance.now() + restMs * spread;
  }

  /** Something came of it, or it is not worked on any more. */
  end(tag: ActiveTag): void {
    this.#resting.delete(tag);
  }
}
