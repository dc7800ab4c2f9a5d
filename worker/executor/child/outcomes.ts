/**
 * Seals what calls ended with and sends it, in parts where it is large.
 *
 * A write wakes the worker, which costs more than a tiny call does. So while calls are tiny their outcomes wait for
 * each other, for two milliseconds at most unless user code holds up the event loop. The results of a chunk wait until
 * it has run whole and go as one pack, unless that takes long (together.ts). Meanwhile the call that runs is noted in a
 * file: should it take the process down, it alone is blamed, and the calls whose outcomes were held are run again.
 */
import { encodeOutcome, type OutcomeMeta, type SpilledValue } from "../../../core/outcome.ts";
import { SEAL_OVERHEAD, type SealContext, seal } from "../../../core/trust/seal.ts";
import { joined } from "../../../core/values/index.ts";
import type { JobFrame, OutcomeFrame } from "../protocol.ts";
import { send } from "./link.ts";
import { sendParts } from "./result-parts.ts";
import type { KnownTag } from "./tags.ts";
import { Together } from "./together.ts";

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

/** The bytes of a value, in order. */
type Pieces = readonly Uint8Array[];

/** How a call ended. */
interface Ending {
  failed: boolean;
  permanent: boolean;
}

const SUCCEEDED: Ending = { failed: false, permanent: false };

export class OutcomeSender {
  readonly #inlineLimitBytes: number;
  readonly #worker: string;
  #held: OutcomeFrame[] = [];
  #heldBytes = 0;
  #tinyCalls = 0;
  #timer: NodeJS.Timeout | undefined;
  #together: Together | undefined;

  /** @param worker its name, noted in each outcome */
  constructor(inlineLimitBytes: number, worker: string) {
    this.#inlineLimitBytes = inlineLimitBytes;
    this.#worker = worker;
  }

  /** Whether outcomes wait to be sent. */
  get holding(): boolean {
    return this.#held.length > 0 || this.#together !== undefined;
  }

  /** Whether results of a job that runs wait for the others of it. */
  get packing(): boolean {
    return this.#together !== undefined;
  }

  /** A job begins whose results may go together. */
  begin(job: JobFrame, tag: KnownTag): void {
    if (job.together === 1) this.#together = new Together(job, tag, this.#inlineLimitBytes, () => this.#separate());
  }

  /**
   * Takes the outcome of call `index`, to be sealed and sent now or in a moment.
   * @param value its bytes, in pieces where they are many
   */
  add(job: JobFrame, tag: KnownTag, index: number, ending: Ending, meta: OutcomeMeta, value: Pieces): void {
    this.#tinyCalls = meta.durationMs < TINY_MS ? this.#tinyCalls + 1 : 0;
    const together = this.#together;
    if (together !== undefined && !ending.failed && this.#fits(value) && together.add(meta, joined(value))) {
      if (together.isWhole) this.#pack(together);
      return;
    }
    this.#separate();
    this.#addOne(job, tag, index, ending, meta, value);
    this.#settle();
  }

  /** What was gathered goes call by call. */
  #separate(): void {
    const together = this.#together;
    if (together === undefined) return;
    together.end();
    this.#together = undefined;
    const { job, tag } = together;
    let index = job.first;
    for (const { meta, value } of together.results.calls()) this.#addOne(job, tag, index++, SUCCEEDED, meta, [value]);
    this.flush();
  }

  /** A chunk has run whole. */
  #pack(together: Together): void {
    together.end();
    this.#together = undefined;
    const { job, tag, results } = together;
    const context = this.#contextOf(job, tag, "result", job.first, job.count);
    const plaintext = results.encode({ worker: this.#worker, attempts: job.attempt, losses: job.losses });
    this.#hold(job.id, job.first, job.count, SUCCEEDED, 0, seal(tag.tagKey, context, plaintext));
    this.#settle();
  }

  #contextOf(job: JobFrame, tag: KnownTag, kind: "result" | "error", first: number, count: number): SealContext {
    const { rootKey, user, tag: name } = tag;
    return { rootKey, user, tag: name, kind, first, count, generation: job.generation, callHash: job.callHash };
  }

  /** Whether a value goes in a message. */
  #fits(value: Pieces): boolean {
    const bytes = value.reduce((sum, piece) => sum + piece.length, 0);
    return bytes + RECORD_BYTES + SEAL_OVERHEAD <= this.#inlineLimitBytes;
  }

  #addOne(job: JobFrame, tag: KnownTag, index: number, ending: Ending, meta: OutcomeMeta, value: Pieces): void {
    const context = this.#contextOf(job, tag, ending.failed ? "error" : "result", index, 1);
    let spilled: SpilledValue | undefined;
    if (!this.#fits(value)) {
      // In their order: what is held goes first.
      this.#send();
      spilled = sendParts({ job: job.id, index }, tag.tagKey, context, value);
    }
    const bookkeeping = { ...meta, worker: this.#worker, attempts: job.attempt, losses: job.losses };
    const plaintext = encodeOutcome(bookkeeping, spilled ?? joined(value));
    this.#hold(job.id, index, 1, ending, spilled?.parts ?? 0, seal(tag.tagKey, context, plaintext));
  }

  #hold(job: number, index: number, count: number, ending: Ending, parts: number, sealed: Uint8Array): void {
    const { failed, permanent } = ending;
    this.#held.push({ job, index, count, failed: failed ? 1 : 0, permanent: permanent ? 1 : 0, parts, sealed });
    this.#heldBytes += sealed.length;
  }

  /** Sends what is held, or lets it wait for what comes next. */
  #settle(): void {
    if (this.#tinyCalls < TINY_CALLS || this.#heldBytes >= HOLD_BYTES) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), HOLD_MS);
  }

  /** Sends all that has ended. */
  flush(): void {
    this.#separate();
    this.#send();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held.length === 0) return;
    send("done", { outcomes: this.#held });
    this.#held = [];
    this.#heldBytes = 0;
  }
}
