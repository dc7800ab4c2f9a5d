/** Looking at all tags: each user's one after the other, and no user waits for another's, which may never answer. */
import type { ActiveTag } from "./active.ts";

export class PerUser {
  readonly #busy = new Set<string>();

  /** @param look at a tag; tags of users whose last look has not ended are left out */
  async run(tags: readonly ActiveTag[], look: (tag: ActiveTag) => Promise<void>): Promise<void> {
    const users = Map.groupBy(tags, ({ runnable }) => runnable.u);
    await Promise.all([...users].map(([u, theirs]) => this.#one(u, theirs, look)));
  }

  async #one(u: string, tags: readonly ActiveTag[], look: (tag: ActiveTag) => Promise<void>): Promise<void> {
    if (this.#busy.has(u)) return;
    this.#busy.add(u);
    try {
      for (const tag of tags) await look(tag);
    } finally {
      this.#busy.delete(u);
    }
  }
}
