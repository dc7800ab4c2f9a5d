/**
 * Which tag to pull from next: fair between users by the time they were served; among one user's tags those of the highest
 * priority, and these are fair by time as well, so that a short tag does not wait behind a long one. Of tags that were served
 * alike the oldest comes first; beside other workers any of them, since all workers would crowd around the same tag.
 */
import type { ActiveTag } from "./active.ts";

class User {
  /** Milliseconds of slot time that the user was served, from when they last had nothing to run. */
  servedMs: number;
  /** The same of their tags. */
  readonly tags = new Map<ActiveTag, number>();
  /** What the tag whose turn it was last had been served: others that had nothing to run meanwhile have no credit for that. */
  levelMs = 0;

  constructor(servedMs: number) {
    this.servedMs = servedMs;
  }

  /** What a tag was served, with what it holds. */
  loadOf(tag: ActiveTag): number {
    return Math.max(this.tags.get(tag) ?? 0, this.levelMs) + tag.heldMs;
  }

  isBefore(a: ActiveTag, b: ActiveTag, isAlone: boolean): boolean {
    const urgency = a.runnable.options.priority - b.runnable.options.priority;
    if (urgency !== 0) return urgency > 0;
    const more = this.loadOf(a) - this.loadOf(b);
    return more === 0 ? this.#orderOf(a, isAlone) < this.#orderOf(b, isAlone) : more < 0;
  }

  #orderOf(tag: ActiveTag, isAlone: boolean): number {
    return isAlone ? tag.runnable.manifest.createdMs : tag.lot;
  }
}

export class Fairness {
  readonly #users = new Map<string, User>();
  /** Whether no other worker was seen at work on this one's tags. */
  isAlone = true;

  /** A user who comes anew starts level with the least served, not with a credit from the past; a tag with the last served. */
  join(tag: ActiveTag): void {
    const { u } = tag.runnable;
    let user = this.#users.get(u);
    if (user === undefined) {
      const others = [...this.#users.values()].map(({ servedMs }) => servedMs);
      user = new User(others.length === 0 ? 0 : Math.min(...others));
      this.#users.set(u, user);
    }
    if (!user.tags.has(tag)) user.tags.set(tag, user.levelMs);
  }

  leave(tag: ActiveTag): void {
    const { u } = tag.runnable;
    const user = this.#users.get(u);
    if (user?.tags.delete(tag) === true && user.tags.size === 0) this.#users.delete(u);
  }

  served(tag: ActiveTag, tookMs: number): void {
    const user = this.#users.get(tag.runnable.u);
    if (user === undefined) return;
    user.servedMs += tookMs;
    const before = user.tags.get(tag);
    if (before !== undefined) user.tags.set(tag, before + tookMs);
  }

  /** Number of users who have something to run. */
  get users(): number {
    return this.#users.size;
  }

  /**
   * @param ready the tags to choose from
   * @param all every tag that this worker holds messages of
   */
  first(ready: readonly ActiveTag[], all: readonly ActiveTag[]): ActiveTag | undefined {
    const u = this.#firstUser(ready, all);
    const user = u === undefined ? undefined : this.#users.get(u);
    if (user === undefined) return undefined;
    const first = ready.reduce((best, tag) => {
      if (tag.runnable.u !== u) return best;
      return best.runnable.u !== u || user.isBefore(tag, best, this.isAlone) ? tag : best;
    });
    const level = Math.max(user.tags.get(first) ?? 0, user.levelMs);
    user.levelMs = level;
    user.tags.set(first, level);
    return first;
  }

  #firstUser(ready: readonly ActiveTag[], all: readonly ActiveTag[]): string | undefined {
    if (this.#users.size < 2) return ready[0]?.runnable.u;
    // What a user's tags hold already counts as served: else one user fills all slots before any call has ended.
    const loads = new Map<string, number>();
    for (const [u, { servedMs }] of this.#users) loads.set(u, servedMs);
    for (const { runnable, heldMs } of all) loads.set(runnable.u, (loads.get(runnable.u) ?? 0) + heldMs);
    let first: string | undefined;
    for (const { runnable } of ready) {
      if (first === undefined || (loads.get(runnable.u) ?? 0) < (loads.get(first) ?? 0)) first = runnable.u;
    }
    return first;
  }
}
