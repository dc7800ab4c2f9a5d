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

  #compare(a: ActiveTag, b: ActiveTag): number {
    // What a user's tags hold already counts as served: else one user fills all slots before any call has ended.
    const load = (tag: ActiveTag) => (this.#servedMs.get(tag.runnable.u) ?? 0) + tag.heldMs;
    if (a.runnable.u !== b.runnable.u) return load(a) - load(b);
    const priority = b.runnable.options.priority - a.runnable.options.priority;
    return priority !== 0 ? priority : a.runnable.manifest.createdMs - b.runnable.manifest.createdMs;
  }

  first(tags: readonly ActiveTag[]): ActiveTag | undefined {
    return [...tags].sort((a, b) => this.#compare(a, b))[0];
  }
}
