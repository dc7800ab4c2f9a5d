/** Storing what calls ended with, large results in parts first. */
import { randomBytes } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { expiryOf } from "../core/broker/expiry.ts";
import { Lanes } from "../core/broker/lanes.ts";
import { subjectOf } from "../core/broker/names.ts";
import { ApiError, isFull, publish } from "../core/broker/publish.ts";
import type { StreamReader } from "../core/broker/read.ts";
import { type ErrorState, encodeOutcome } from "../core/outcome.ts";
import { decodePack } from "../core/pack.ts";
import { encodeOutcomeMessage } from "../core/trust/outcome.ts";
import { open, SealKind, seal } from "../core/trust/seal.ts";
import { encodeError } from "../core/values/index.ts";
import type { ActiveTag } from "./active.ts";
import { CallFailed } from "./call-errors.ts";
import { ChunkPlaces } from "./chunk-place.ts";
import type { Cuts } from "./cuts.ts";
import type { EndCause, Job, Outcome } from "./executor/job.ts";
import type { Log } from "./log.ts";
import { OutcomeWriter } from "./outcomes.ts";

/** Parts of a large result that are on their way to the broker at once. */
const PARTS_AT_ONCE = 8;
/** Those of all large results of one user: 32 MB, which is what this worker holds of them. */
const PARTS_OF_USER = 64;

/** What is to be known of a job to store its outcomes. */
export interface StoredJob extends Job {
  tag: ActiveTag;
  losses: number;
  /** Writes of outcomes that are under way. */
  writes: Promise<void>[];
  /** Calls that have ended and whose outcome is not on the broker, and how often each had been tried before. */
  unstored: Map<number, number>;
  /** Large results under way, by index: how their parts are named and sent. */
  spills: Map<number, { id: string; lanes: Lanes }>;
  /** The broker did not answer while a large result was sent: it has to run again. */
  unsent: boolean;
  /** Of a chunk: whether its outcomes are stored one by one, once that was asked. */
  apart?: Promise<boolean>;
}

export interface StoreOptions {
  nc: NatsConnection;
  reader: StreamReader;
  datacenter: string;
  worker: string;
  log: Log;
  cuts: Cuts;
}

/** Whether a result that could not be sent may be sent another time. */
function isWorthAnother(error: unknown): boolean {
  return !(error instanceof ApiError) || isFull(error);
}

export class OutcomeStore {
  readonly #options: StoreOptions;
  readonly #writers = new Map<string, OutcomeWriter>();
  /** What is on its way of each user's large results, so that no user's takes the room of another's. */
  readonly #windows = new Map<string, Lanes>();
  readonly #places: ChunkPlaces;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#places = new ChunkPlaces(options);
  }

  #writer(u: string): OutcomeWriter {
    let writer = this.#writers.get(u);
    if (writer === undefined) {
      const { nc, datacenter, log, cuts } = this.#options;
      writer = new OutcomeWriter(nc, u, datacenter, log, cuts);
      this.#writers.set(u, writer);
    }
    return writer;
  }

  /** Nothing more of a user's is stored; what comes later begins anew. */
  abandon(u: string): void {
    this.#writers.get(u)?.abandon();
    this.#writers.delete(u);
  }

  /** An outcome that the worker makes itself. @param run how long the call ran and what it held, where it did run */
  error(
    job: StoredJob,
    index: number,
    error: unknown,
    state: ErrorState,
    run: Pick<EndCause, "ranMs" | "peakMemoryBytes"> = { ranMs: 0, peakMemoryBytes: 0 },
  ): Promise<void> {
    const { runnable } = job.tag;
    const { rootKey, user, tag } = runnable.manifest;
    const { generation, callHash, attempt, losses } = job;
    const worker = this.#options.worker;
    const attempts = attempt ?? 0;
    const { ranMs, peakMemoryBytes } = run;
    const time = { startedMs: Date.now() - ranMs, durationMs: ranMs };
    const meta = { ...time, peakMemoryBytes, worker, attempts, losses, state };
    const plaintext = encodeOutcome(meta, encodeError(error));
    const context = { rootKey, user, tag, kind: SealKind.error, first: index, count: 1, generation, callHash };
    return this.outcome(job, { index, kind: "error", sealed: seal(runnable.tagKey, context, plaintext), parts: 0 });
  }

  /** What a call ended with; resolves when it, or one before it, is stored. */
  outcome(job: StoredJob, outcome: Outcome): Promise<void> {
    const { u, tag, manifest } = job.tag.runnable;
    const { generation, callHash } = job;
    const { index, kind, sealed, parts } = outcome;
    if (kind === "pack") return this.pack(job, sealed);
    // One that broke off in the middle of its parts ends with something that has none.
    const spill = parts > 0 ? job.spills.get(index) : undefined;
    const data = encodeOutcomeMessage({ generation, callHash, partsId: spill?.id ?? "", sealed });
    const writeNow = () => this.#writer(u).write(tag, index, kind, data, expiryOf(manifest), job.tag.limited);
    const write = job.count === 1 ? writeNow : () => this.#ifApart(job, writeNow);
    const stored =
      spill === undefined ? write() : spill.lanes.done().then(write, (error) => this.#notSent(job, index, error));
    job.unstored.set(index, Math.max(0, (job.attempt ?? 1) - 1));
    job.writes.push(stored.then(() => void job.unstored.delete(index)));
    // Whoever waits for the job hears of it, but maybe only after other calls of it have run.
    job.writes.at(-1)!.catch(() => undefined);
    return stored;
  }

  /** Of a chunk that is stored as a pack every call has its outcome. */
  async #ifApart(job: StoredJob, write: () => Promise<void>): Promise<void> {
    job.apart ??= this.#places.standApart(job, this.#writer(job.tag.runnable.u));
    if (await job.apart) await write();
  }

  /** What all calls of a message ended with; resolves when it is stored, or each of them has another outcome. */
  pack(job: StoredJob, sealed: Uint8Array): Promise<void> {
    const before = Math.max(0, (job.attempt ?? 1) - 1);
    for (let index = job.first; index < job.first + job.count; index++) job.unstored.set(index, before);
    const stored = this.#storePack(job, sealed).then(() => job.unstored.clear());
    job.writes.push(stored);
    stored.catch(() => undefined);
    return stored;
  }

  async #storePack(job: StoredJob, sealed: Uint8Array): Promise<void> {
    const { runnable } = job.tag;
    const { generation, callHash, first, count } = job;
    const data = encodeOutcomeMessage({ generation, callHash, partsId: "", sealed });
    if (await this.#places.pack(job, data, this.#writer(runnable.u))) return;
    // Another worker that had it began to store its outcomes one by one.
    job.apart = Promise.resolve(true);
    const { rootKey, user, tag } = runnable.manifest;
    const bound = { rootKey, user, tag, kind: SealKind.result, generation, callHash };
    const calls = decodePack(open(runnable.tagKey, { ...bound, first, count }, sealed), count);
    const singles = calls.map(({ meta, value }, i) => {
      const index = first + i;
      const single = seal(runnable.tagKey, { ...bound, first: index, count: 1 }, encodeOutcome(meta, value));
      return this.outcome(job, { index, kind: "result", sealed: single, parts: 0 });
    });
    await Promise.all(singles);
  }

  /** Which calls of a chunk have an outcome. @throws BrokerError where the broker does not answer */
  ended(job: StoredJob, indices: Iterable<number>): Promise<Set<number>> {
    return this.#places.ended(job, indices);
  }

  /** What the broker refuses it will refuse again; where it did not answer, or its user has no room left, the call runs again. */
  #notSent(job: StoredJob, index: number, error: unknown): Promise<void> {
    if (isWorthAnother(error)) throw error;
    const { message } = error as ApiError;
    job.spills.delete(index);
    return this.error(job, index, new CallFailed(`its result could not be stored: ${message}`), "failed");
  }

  #windowOf(u: string): Lanes {
    let window = this.#windows.get(u);
    if (window === undefined) {
      window = new Lanes(PARTS_OF_USER);
      this.#windows.set(u, window);
    }
    return window;
  }

  /** A part of a large result. Resolves when the next may come. */
  async part(job: StoredJob, index: number, part: number, sealed: Uint8Array): Promise<void> {
    const { nc, datacenter, cuts, log } = this.#options;
    const { u, tag, manifest } = job.tag.runnable;
    let spill = job.spills.get(index);
    if (part === 0 || spill === undefined) {
      // A call that runs again names its parts anew, so two runs never mix.
      spill = { id: `${index}-${randomBytes(8).toString("hex")}`, lanes: new Lanes(PARTS_AT_ONCE) };
      job.spills.set(index, spill);
    }
    const subject = subjectOf.outputPart(u, datacenter, tag, spill.id, part);
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    await this.#windowOf(u).run(() => left);
    try {
      await spill.lanes.run(() =>
        cuts.answer(publish(nc, { subject, data: sealed, ...expiryOf(manifest) })).finally(leave),
      );
    } catch (error) {
      leave();
      job.unsent = isWorthAnother(error);
      if (isFull(error)) log.warn(`could not store ${subject}, its call will run again: ${(error as Error).message}`);
      throw error;
    }
  }

  /** Gives up what is not stored. */
  close(): void {
    for (const writer of this.#writers.values()) writer.close();
  }
}
