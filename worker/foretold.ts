/**
 * Manifests that were heard live, and opened before their tags were closed: a small tag is closed a moment later, and then
 * somebody waits. Of what was heard only what the broker turns out to hold is used.
 */
import type { Grant } from "../core/trust/grant.ts";
import type { Manifest } from "../core/trust/manifest.ts";
import type { TagOptions } from "../core/trust/options.ts";

/** Tags that are awaited at once: nothing may come of them, and each costs a record in the audit log. */
const MOST = 16;
/** A tag that is not closed by then, in milliseconds, is not awaited any more. */
const PATIENCE_MS = 10_000;

export interface Foretold {
  /** Whose signature was checked. */
  grant: Grant;
  /** The manifest as it was heard. */
  heard: Uint8Array;
  manifest: Manifest;
  tagKey: Uint8Array;
  options: TagOptions;
}

export class ForetoldTags {
  /** By the tag's id, the oldest first. */
  readonly #tags = new Map<string, { foretold: Foretold; atMs: number }>();

  get hasRoom(): boolean {
    for (const [id, { atMs }] of this.#tags) {
      if (performance.now() - atMs < PATIENCE_MS) break;
      this.#tags.delete(id);
    }
    return this.#tags.size < MOST;
  }

  add(id: string, foretold: Foretold): void {
    this.#tags.set(id, { foretold, atMs: performance.now() });
  }

  /** @returns what is known of a tag, where that is of this very grant and of the manifest that the broker holds */
  take(id: string, grant: Grant, stored: Uint8Array): Foretold | undefined {
    const found = this.#tags.get(id)?.foretold;
    this.#tags.delete(id);
    return found?.grant === grant && Buffer.compare(found.heard, stored) === 0 ? found : undefined;
  }
}
