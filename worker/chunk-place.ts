/**
 * Where the outcomes of a chunk go: whole into one pack, or one by one behind a note that says so. A datacenter stores either,
 * never both, so a call has one place there (docs/decisions/0014-packs.md).
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { expiryOf } from "../core/broker/expiry.ts";
import { Lanes } from "../core/broker/lanes.ts";
import { type ChunkName, streamOf, subjectOf } from "../core/broker/names.ts";
import { lastSequenceOn } from "../core/broker/publish.ts";
import type { StreamReader } from "../core/broker/read.ts";
import type { Cuts } from "./cuts.ts";
import type { OutcomeWriter } from "./outcomes.ts";

/** The message, as far as its place goes. */
export interface PlacedJob extends ChunkName {
  tag: { runnable: { u: string; tag: string; manifest: Parameters<typeof expiryOf>[0] } };
}

/** A note says all by its subject. */
const NOTE = new Uint8Array();
const ASK_AGAIN_MS = 1_000;
const AT_ONCE = 64;

export class ChunkPlaces {
  readonly #nc: NatsConnection;
  readonly #reader: StreamReader;
  readonly #datacenter: string;
  readonly #cuts: Cuts;

  constructor({
    nc,
    reader,
    datacenter,
    cuts,
  }: {
    nc: NatsConnection;
    reader: StreamReader;
    datacenter: string;
    cuts: Cuts;
  }) {
    this.#nc = nc;
    this.#reader = reader;
    this.#datacenter = datacenter;
    this.#cuts = cuts;
  }

  #subjects({ tag: { runnable }, first, count }: PlacedJob) {
    const { u, tag } = runnable;
    const chunk = { first, count };
    return {
      pack: subjectOf.pack(u, this.#datacenter, tag, chunk),
      note: subjectOf.apart(u, this.#datacenter, tag, chunk),
      slot: subjectOf.chunkSlot(u, this.#datacenter, tag, chunk),
    };
  }

  /** Whether outcomes of the chunk are stored one by one; else a pack of it is there, and all its calls have ended. */
  async standApart(job: PlacedJob, writer: OutcomeWriter): Promise<boolean> {
    const { note, slot } = this.#subjects(job);
    const stored = await writer.store({ subject: note, slot, data: NOTE, ...expiryOf(job.tag.runnable.manifest) });
    return stored || this.#isApart(job);
  }

  /** @returns false where outcomes of the chunk are stored one by one; else it is stored, or one before it was */
  async pack(job: PlacedJob, data: Uint8Array, writer: OutcomeWriter): Promise<boolean> {
    const { pack, slot } = this.#subjects(job);
    const stored = await writer.store({ subject: pack, slot, data, ...expiryOf(job.tag.runnable.manifest) });
    return stored || !(await this.#isApart(job));
  }

  async #isApart(job: PlacedJob): Promise<boolean> {
    const { note } = this.#subjects(job);
    for (;;) {
      try {
        return (await this.#reader.last(streamOf.results(job.tag.runnable.u), note)) !== null;
      } catch (error) {
        // What was computed is not given up while the worker lives.
        if (this.#nc.isClosed()) throw error;
        await this.#cuts.pause(ASK_AGAIN_MS);
      }
    }
  }

  /**
   * Which of the calls have an outcome by this datacenter. It may not read them, but is told whether their places are taken.
   * @throws BrokerError where the broker does not answer
   */
  async ended(job: PlacedJob, indices: Iterable<number>): Promise<Set<number>> {
    const { u, tag } = job.tag.runnable;
    const { pack, note } = this.#subjects(job);
    const isTaken = async (place: string) => (await this.#cuts.answer(lastSequenceOn(this.#nc, note, place))) > 0;
    if (await isTaken(pack)) return new Set(indices);
    const ended = new Set<number>();
    const lanes = new Lanes(AT_ONCE);
    for (const index of indices) {
      await lanes.run(async () => {
        if (await isTaken(subjectOf.outcome(u, "*", this.#datacenter, tag, index))) ended.add(index);
      });
    }
    await lanes.done();
    return ended;
  }
}
