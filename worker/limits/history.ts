/** What became of a call message before: attempts that failed, workers that handed it back, workers that vanished. */
import type { NatsConnection } from "@nats-io/transport-node";
import { expiryOf } from "../../core/broker/expiry.ts";
import { deliveryName, streamOf, subjectOf } from "../../core/broker/names.ts";
import { expectNone, isTaken, publish } from "../../core/broker/publish.ts";
import type { StreamReader } from "../../core/broker/read.ts";
import { DecodeError, RefusedError } from "../../core/errors.ts";
import {
  type OpenCalls,
  openBegun,
  openRun,
  type RunOwner,
  type RunRecord,
  sealBegun,
  sealRun,
} from "../../core/trust/run.ts";
import type { ActiveTag } from "../active.ts";
import type { Job } from "../executor/job.ts";
import type { Delivery } from "../pull.ts";

/** The message as its records are bound to it. */
export type HistoryJob = Pick<Job, "first" | "count" | "generation" | "callHash"> & { tag: ActiveTag };

export type Past = Pick<RunRecord, "lostOn" | "open">;

function ownerOf({ tag, first, count, generation, callHash }: HistoryJob): RunOwner {
  const { rootKey, user, tag: name } = tag.runnable.manifest;
  return { rootKey, user, tag: name, first, count, generation, callHash };
}

export class History {
  readonly #nc: NatsConnection;
  readonly #reader: StreamReader;
  readonly #datacenter: string;
  readonly #worker: string;

  constructor(nc: NatsConnection, reader: StreamReader, datacenter: string, worker: string) {
    this.#nc = nc;
    this.#reader = reader;
    this.#datacenter = datacenter;
    this.#worker = worker;
  }

  /**
   * Each delivery that was handed back left a record with all that went before; one without a record was lost. So
   * the newest record counts, and every delivery after it was a loss. Losses beyond what the tag allows are not counted.
   * @throws BrokerError where the broker does not answer
   */
  async read(job: HistoryJob, { delivered, sequence }: Pick<Delivery, "delivered" | "sequence">): Promise<Past> {
    const lostOn: string[] = [];
    const { maxLosses } = job.tag.runnable.options;
    for (let before = delivered - 1; before > 0 && lostOn.length < maxLosses; before--) {
      const name = deliveryName(sequence, before);
      const record = await this.#recordOf(job, name);
      if (record !== undefined) return { lostOn: [...record.lostOn, ...lostOn], open: record.open };
      lostOn.unshift(await this.#workerOf(job, name));
    }
    return { lostOn, open: [{ from: job.first, to: job.first + job.count, attempts: 0 }] };
  }

  #recordOf(job: HistoryJob, delivery: string): Promise<RunRecord | undefined> {
    const { tagKey } = job.tag.runnable;
    return this.#find(job, delivery, subjectOf.run, (data) => openRun(tagKey, ownerOf(job), data));
  }

  /** Who vanished with a delivery; empty where it did not come to say so. */
  async #workerOf(job: HistoryJob, delivery: string): Promise<string> {
    const { tagKey } = job.tag.runnable;
    const begun = await this.#find(job, delivery, subjectOf.begun, (data) => {
      const record = openBegun(tagKey, ownerOf(job), data);
      return record.delivery === delivery ? record : undefined;
    });
    return begun?.worker ?? "";
  }

  async #find<T>(
    job: HistoryJob,
    delivery: string,
    subject: typeof subjectOf.run,
    open: (data: Uint8Array) => T | undefined,
  ): Promise<T | undefined> {
    const { u, tag, manifest } = job.tag.runnable;
    // Any datacenter that may run the tag may have had it.
    const stored = await Promise.all(
      manifest.datacenters.map((dc) =>
        this.#reader.last(streamOf.results(u), subject(u, dc, tag, job.first, delivery)),
      ),
    );
    for (const found of stored) {
      if (found === null) continue;
      try {
        const record = open(found.data);
        if (record !== undefined) return record;
      } catch (error) {
        if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
      }
    }
    return undefined;
  }

  /**
   * Notes, before a message is handed back, what is left of it.
   * @throws BrokerError where the broker does not take it
   */
  async write(job: HistoryJob, { delivered, sequence }: Delivery, past: Past): Promise<void> {
    const { u, tag, tagKey } = job.tag.runnable;
    const subject = subjectOf.run(u, this.#datacenter, tag, job.first, deliveryName(sequence, delivered));
    await this.#store(job, subject, sealRun(tagKey, ownerOf(job), { ...past, worker: this.#worker, atMs: Date.now() }));
  }

  /**
   * Notes that this worker has begun with a delivery.
   * @throws BrokerError where the broker does not take it
   */
  async writeBegun(job: HistoryJob, { delivered, sequence }: Delivery, atMs: number): Promise<void> {
    const { u, tag, tagKey } = job.tag.runnable;
    const delivery = deliveryName(sequence, delivered);
    const subject = subjectOf.begun(u, this.#datacenter, tag, job.first, delivery);
    await this.#store(job, subject, sealBegun(tagKey, ownerOf(job), { delivery, worker: this.#worker, atMs }));
  }

  async #store({ tag }: HistoryJob, subject: string, data: Uint8Array): Promise<void> {
    const { manifest } = tag.runnable;
    try {
      await publish(this.#nc, { subject, data, ...expiryOf(manifest) }, expectNone(subject));
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

/** What is left of a message while it runs: which calls are still to be run, and which are to be tried again. */
export class Remaining {
  #open: OpenCalls[];
  readonly #again: OpenCalls[] = [];

  constructor(open: readonly OpenCalls[]) {
    this.#open = [...open];
  }

  /** The calls to run now. */
  get next(): OpenCalls | undefined {
    return this.#open[0];
  }

  /** Whether calls are to be tried again. */
  get tryAgain(): boolean {
    return this.#again.length > 0;
  }

  /** The most attempts that a call had which is to be tried again. */
  get attempts(): number {
    return this.#again.reduce((most, { attempts }) => Math.max(most, attempts), 0);
  }

  /** Everything that has no outcome yet, in order. */
  get all(): OpenCalls[] {
    return [...this.#again, ...this.#open].sort((a, b) => a.from - b.from);
  }

  /** As {@link all}, with calls that came to an end which nobody will hear of. @param unstored how often each was tried before */
  allWith(unstored: ReadonlyMap<number, number>): OpenCalls[] {
    const { all } = this;
    const ended = Array.from(unstored, ([index, attempts]) => ({ from: index, to: index + 1, attempts }));
    const others = ended.filter((call) => !all.some(({ from, to }) => from <= call.from && call.from < to));
    return [...all, ...others].sort((a, b) => a.from - b.from);
  }

  /** Call `index` came to an end; with `again` it is to be run once more. */
  ended(index: number, again: boolean): void {
    const [now, ...later] = this.#open;
    if (now === undefined || index < now.from || index >= now.to) return;
    if (again) this.#addAgain(index, now.attempts + 1);
    this.#open = index + 1 < now.to ? [{ ...now, from: index + 1 }, ...later] : later;
  }

  /** All calls before `end` came to an end for good. */
  endedTo(end: number): void {
    this.#open = this.#open.flatMap((open) => (open.to <= end ? [] : [{ ...open, from: Math.max(open.from, end) }]));
  }

  /** Calls that turn out to have an outcome are not run. */
  without(ended: ReadonlySet<number>): Remaining {
    const open: OpenCalls[] = [];
    for (const { from, to, attempts } of this.all) {
      for (let index = from; index < to; index++) {
        const last = open.at(-1);
        if (ended.has(index)) continue;
        if (last?.to === index && last.attempts === attempts) last.to = index + 1;
        else open.push({ from: index, to: index + 1, attempts });
      }
    }
    return new Remaining(open);
  }

  /** The calls that are to be run. */
  *indices(): Generator<number> {
    for (const { from, to } of this.all) for (let index = from; index < to; index++) yield index;
  }

  #addAgain(index: number, attempts: number): void {
    const last = this.#again.at(-1);
    if (last?.to === index && last.attempts === attempts) last.to = index + 1;
    else this.#again.push({ from: index, to: index + 1, attempts });
  }
}
