/** Which tag to pull from next: fair between users by the time they were served, then by priority, then by age. */
import type { ActiveTag } from "./active.ts";

export class Fairness {
  /** Milliseconds of slot time that each user was served, from when they last had nothing to run. */
  readonly #servedMs = new Map<string, number>();

  /** A user who comes anew starts level with the least served, not with a credit from the past. */
  join(u: string): void {
    if (this.#servedMs.has(u)) return;
    this.#servedMs.set(u, this.#servedMs.size === 0 ? 0 : Math.min(...this.#servedMs.values()));
  }

  leave(u: string): void {
    this.#servedMs.delete(u);
  }

  served(u: string, tookMs: number): void {
    const before = this.#servedMs.get(u);
    if (before !== undefined) this.#servedMs.set(u, before + tookMs);
  }

  /** Number of users who have something to run. */
  get users(): number {
    return this.#servedMs.size;
  }

  /**
   * @param ready the tags to choose from
   * @param all every tag that this worker holds messages of
   */
  first(ready: readonly ActiveTag[], all: readonly ActiveTag[]): ActiveTag | undefined {
    // What a user's tags hold already counts as served: else one user fills all slots before any call has ended.
    const loads = new Map(this.#servedMs);
    for (const tag of all) loads.set(tag.runnable.u, (loads.get(tag.runnable.u) ?? 0) + tag.heldMs);
    const loadOf = (tag: ActiveTag) => loads.get(tag.runnable.u) ?? 0;
    const least = ready.reduce((low, tag) => Math.min(low, loadOf(tag)), Number.POSITIVE_INFINITY);
    const next = ready.find((tag) => loadOf(tag) === least);
    return ready
      .filter((tag) => tag.runnable.u === next?.runnable.u)
      .sort((a, b) => byPriority(a, b) || a.runnable.manifest.createdMs - b.runnable.manifest.createdMs)[0];
  }
}

function byPriority(a: ActiveTag, b: ActiveTag): number {
  return b.runnable.options.priority - a.runnable.options.priority;
}
