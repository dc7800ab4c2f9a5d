/** Outcomes that the submitter stores for calls that never run: sealed as a worker's are, and the first write wins. */
import { expiryOf } from "../broker/expiry.ts";
import { Lanes } from "../broker/lanes.ts";
import { parseOutcome, subjectOf } from "../broker/names.ts";
import { BATCH_MESSAGES, expectNone, isTaken, type Message, publish, publishBatch } from "../broker/publish.ts";
import { type ErrorState, encodeOutcome } from "../outcome.ts";
import type { TagAccess } from "../tag/access.ts";
import { encodeOutcomeMessage } from "../trust/outcome.ts";
import { SealKind, seal } from "../trust/seal.ts";
import { encodeError } from "../values/index.ts";
import { Chunks } from "./packs.ts";

const SINGLES_AT_ONCE = 64;
/** A batch costs the broker as much as some 30 single messages. */
const BATCH_WORTH = 32;

/** The call that an outcome is of. */
export interface EndedCall {
  index: number;
  generation: number;
  /** Of its message. */
  callHash: Uint8Array;
}

/** Where an outcome lies besides its index. */
export interface OutcomePlace {
  kind: "result" | "error";
  datacenter: string;
}

export class OwnOutcomes {
  readonly #access: TagAccess;
  readonly #state: ErrorState;
  readonly #chunks: Chunks;
  #waiting: Message[] = [];

  /** @param state how the calls ended */
  constructor(access: TagAccess, state: ErrorState) {
    this.#access = access;
    this.#state = state;
    this.#chunks = new Chunks(access);
  }

  #outcomeOf({ index, generation, callHash }: EndedCall, error: Error, place?: OutcomePlace): Message {
    const { u, manifest, tagKey } = this.#access;
    const { rootKey, user, tag, datacenters } = manifest;
    const { kind, datacenter } = place ?? { kind: "error", datacenter: datacenters[0]! };
    const meta = { startedMs: Date.now(), durationMs: 0, state: this.#state };
    const context = { rootKey, user, tag, kind: SealKind[kind], first: index, count: 1, generation, callHash };
    const sealed = seal(tagKey, context, encodeOutcome(meta, encodeError(error)));
    return {
      subject: subjectOf.outcome(u, kind, datacenter, tag, index),
      data: encodeOutcomeMessage({ generation, callHash, partsId: "", sealed }),
      ...expiryOf(manifest),
    };
  }

  /** No datacenter may have stored one. */
  #guard(subject: string) {
    const { u, manifest } = this.#access;
    return expectNone(subjectOf.outcome(u, "*", "*", manifest.tag, parseOutcome(subject).index));
  }

  /** @param place where another outcome was, whose kind and datacenter go on being counted */
  async add(call: EndedCall, error: Error, place?: OutcomePlace): Promise<void> {
    this.#waiting.push(this.#outcomeOf(call, error, place));
    if (this.#waiting.length === BATCH_MESSAGES) await this.flush();
  }

  /** Stores what was added; a call that has got another outcome meanwhile keeps it. */
  async flush(): Promise<void> {
    const batch = await this.#withoutPacked(this.#waiting.splice(0));
    const { nc } = this.#access.session;
    if (batch.length >= BATCH_WORTH) {
      try {
        await publishBatch(nc, batch, ({ subject }) => this.#guard(subject));
        return;
      } catch (error) {
        // One call that has ended meanwhile refuses the whole batch; singles tell which.
        if (!isTaken(error)) throw error;
      }
    }
    const lanes = new Lanes(SINGLES_AT_ONCE);
    for (const outcome of batch) await lanes.run(() => this.#single(outcome));
    await lanes.done();
  }

  /** Those whose chunks no datacenter has packed, and none will. */
  async #withoutPacked(batch: Message[]): Promise<Message[]> {
    const { chunkSize } = this.#access.options;
    if (chunkSize === 1) return batch;
    const chunkOfMessage = ({ subject }: Message) => Math.floor(parseOutcome(subject).index / chunkSize);
    const packed = new Set<number>();
    const lanes = new Lanes(SINGLES_AT_ONCE);
    for (const chunk of new Set(batch.map(chunkOfMessage))) {
      await lanes.run(async () => {
        if (!(await this.#chunks.standsApart(chunk * chunkSize))) packed.add(chunk);
      });
    }
    await lanes.done();
    return batch.filter((outcome) => !packed.has(chunkOfMessage(outcome)));
  }

  async #single(outcome: Message): Promise<void> {
    try {
      await publish(this.#access.session.nc, outcome, this.#guard(outcome.subject));
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}
