/** The results of a chunk on their way into one pack, as long as they come soon and stay small. */
import type { OutcomeMeta } from "../../../core/outcome.ts";
import { PackBuilder } from "../../../core/pack.ts";
import type { JobFrame } from "../protocol.ts";
import type { KnownTag } from "./tags.ts";

/** What has ended waits at most so long for the rest of its chunk, in milliseconds, unless user code holds up the event loop. */
const TOGETHER_MS = 100;
/** What is around each result in a pack: when it ran, its length. */
const CALL_BYTES = 16;
/** The record and the seal around all. */
const RECORD_BYTES = 256;

export class Together {
  readonly job: JobFrame;
  readonly tag: KnownTag;
  readonly results = new PackBuilder();
  readonly #mostBytes: number;
  readonly #giveUpMs = performance.now() + TOGETHER_MS;
  readonly #timer: NodeJS.Timeout;

  /** @param onLate it takes too long: they go one by one */
  constructor(job: JobFrame, tag: KnownTag, inlineLimitBytes: number, onLate: () => void) {
    this.job = job;
    this.tag = tag;
    this.#mostBytes = inlineLimitBytes - RECORD_BYTES - job.count * CALL_BYTES;
    this.#timer = setTimeout(onLate, TOGETHER_MS);
  }

  /** @returns false where it does not go into the pack, nor anything after it */
  add(meta: OutcomeMeta, value: Uint8Array): boolean {
    if (this.results.bytes + value.length > this.#mostBytes || performance.now() > this.#giveUpMs) return false;
    this.results.add(meta, value);
    return true;
  }

  get isWhole(): boolean {
    return this.results.length === this.job.count;
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
