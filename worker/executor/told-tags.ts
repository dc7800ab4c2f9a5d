import type { Channel } from "./channel.ts";
import type { TagSetup } from "./job.ts";

/** The tags and codes that an executor was told of. */
export class ToldTags {
  readonly #channel: Channel;
  readonly #packagesPath: (path: string) => string;
  readonly #codes = new Set<string>();
  readonly #tags = new Set<string>();

  /** @param packagesPath a path of the packages as the executor sees it */
  constructor(channel: Channel, packagesPath: (path: string) => string) {
    this.#channel = channel;
    this.#packagesPath = packagesPath;
  }

  add(setup: TagSetup): void {
    const { tagId, codeId, code, packagesDir, tagKey, rootKey, user, tag } = setup;
    if (this.#tags.has(tagId)) return;
    if (!this.#codes.has(codeId)) {
      const seenDir = packagesDir === undefined ? "" : this.#packagesPath(packagesDir);
      this.#channel.send("code", { codeId, code, packagesDir: seenDir });
      this.#codes.add(codeId);
    }
    this.#channel.send("tag", { tagId, codeId, tagKey, rootKey, user, tag });
    this.#tags.add(tagId);
  }

  /** @param codeId its code, if no other tag uses it */
  forget(tagId: string, codeId: string | undefined): void {
    if (!this.#tags.delete(tagId)) return;
    const codeIds = codeId !== undefined && this.#codes.delete(codeId) ? [codeId] : [];
    this.#channel.send("forget", { tagIds: [tagId], codeIds });
  }
}
