/**
 * Seals what calls ended with and sends it, in parts where it is large.
 *
 * A write wakes the worker, which costs more than a tiny call does. So while calls are tiny their outcomes wait for
 * each other, for two milliseconds at most unless user code holds up the event loop. Meanwhile the call that runs is
 * noted in a file: should it take the process down, it alone is blamed, and the calls whose outcomes were held
 * are run again.
 */
import { createHash } from "node:crypto";
import { encodeOutcome, type OutcomeMeta, type SpilledValue } from "../../../core/outcome.ts";
import { SEAL_OVERHEAD, type SealContext, seal } from "../../../core/trust/seal.ts";
import { PART_BYTES } from "../job.ts";
import type { JobFrame, OutcomeFrame } from "../protocol.ts";
import { send } from "./link.ts";
import type { KnownTag } from "./tags.ts";

/** Outcomes wait at most so long for each other, in milliseconds, */
const HOLD_MS = 2;
/** at most until they are so large together, */
const HOLD_BYTES = 64 * 1024;
/** and only after so many calls in a row */
const TINY_CALLS = 16;
/** that each took less than this, in milliseconds. */
const TINY_MS = 1;
/** What the record around a value takes at most, the worker's name of up to 63 bytes included. */
const RECORD_BYTES = 192;

export class OutcomeSender {
  readonly #inlineLimitBytes: number;
  readonly #worker: string;
  #held: OutcomeFrame[] = [];
  #heldBytes = 0;
  #tinyCalls = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param worker its name, noted in each outcome */
  constructor(inlineLimitBytes: number, worker: string) {
    this.#inlineLimitBytes = inlineLimitBytes;
    this.#worker = worker;
  }

  /** Whether outcomes wait to be sent. */
  get holding(): boolean {
    return this.#held.length > 0;
  }

  /** Seals the outcome of call `index` and sends it, or holds it back for a moment. */
  add(
    job: JobFrame,
    tag: KnownTag,
    index: number,
    ending: { failed: boolean; permanent: boolean },
    meta: OutcomeMeta,
    value: Uint8Array,
  ): void {
    const { failed, permanent } = ending;
    const context: SealContext = {
      rootKey: tag.rootKey,
      user: tag.user,
      tag: tag.tag,
      kind: failed ? "error" : "result",
      first: index,
      count: 1,
      generation: job.generation,
      callHash: job.callHash,
    };
    const fits = value.length + RECORD_BYTES + SEAL_OVERHEAD <= this.#inlineLimitBytes;
    const spilled = fits ? undefined : this.#sendParts(job, index, tag.tagKey, context, value);
    const bookkeeping = { ...meta, worker: this.#worker, attempts: job.attempt, losses: job.losses };
    const plaintext = encodeOutcome(bookkeeping, spilled ?? value);
    const sealed = seal(tag.tagKey, context, plaintext);
    this.#held.push({
      job: job.id,
      index,
      failed: failed ? 1 : 0,
      permanent: permanent ? 1 : 0,
      parts: spilled?.parts ?? 0,
      sealed,
    });
    this.#heldBytes += sealed.length;
    this.#tinyCalls = meta.durationMs < TINY_MS ? this.#tinyCalls + 1 : 0;
    if (this.#tinyCalls < TINY_CALLS || this.#heldBytes >= HOLD_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), HOLD_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held.length === 0) return;
    send("done", { outcomes: this.#held });
    this.#held = [];
    this.#heldBytes = 0;
  }

  #sendParts(job: JobFrame, index: number, tagKey: Uint8Array, context: SealContext, value: Uint8Array): SpilledValue {
    this.flush();
    const parts = Math.ceil(value.length / PART_BYTES);
    const hash = createHash("sha256");
    for (let part = 0; part < parts; part++) {
      const piece = value.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
      const last = part === parts - 1;
      const sealed = seal(tagKey, { ...context, kind: "result-part", part, last }, piece);
      hash.update(sealed);
      send("resultPart", { job: job.id, index, part, sealed });
    }
    return { parts, bytes: value.length, hash: hash.digest() };
  }
}
