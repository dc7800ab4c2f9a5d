/** From a pulled message to stored outcomes: check, run, store, and only then acknowledge. */
import { createHash, randomBytes } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { pauseMs } from "../core/attempts.ts";
import { Lanes } from "../core/broker/lanes.ts";
import { streamOf, subjectOf } from "../core/broker/names.ts";
import { ApiError, publish } from "../core/broker/publish.ts";
import type { StreamReader } from "../core/broker/read.ts";
import { CallCancelled } from "../core/control/cancelled.ts";
import { BrokerError, DecodeError, RefusedError } from "../core/errors.ts";
import { type ErrorState, encodeOutcome } from "../core/outcome.ts";
import type { VerifiedCall } from "../core/trust/call.ts";
import { leafHash } from "../core/trust/merkle.ts";
import { encodeOutcomeMessage } from "../core/trust/outcome.ts";
import { SealKind, seal } from "../core/trust/seal.ts";
import { encodeError } from "../core/values/index.ts";
import type { ActiveTag } from "./active.ts";
import { CallFailed, CallLost, CallRefused, crashError } from "./call-errors.ts";
import { judge, type Verdict } from "./control.ts";
import type { Job, JobEnd, Outcome, TagSetup } from "./executor/job.ts";
import type { ExecutorPool } from "./executor/pool.ts";
import { History, MAX_LOSSES, Remaining } from "./limits/history.ts";
import type { Log } from "./log.ts";
import { OutcomeWriter } from "./outcomes.ts";
import type { Delivery } from "./pull.ts";
import { isCallsError } from "./setup.ts";

/** Parts of a large result that are on their way to the broker at once. */
const PARTS_AT_ONCE = 8;

/** A tag whose code, packages or arguments could not be fetched, or results not be stored, is tried again after this. */
const TRY_AGAIN_MS = 2_000;
/** How long storing may still take when the worker stops. */
const SETTLE_MS = 5_000;

/** A message on its way through an executor. */
export interface CallJob extends Job {
  tag: ActiveTag;
  /** Which of its calls are still to be run. */
  remaining: Remaining;
  losses: number;
  /** It may be another worker's by now: nothing more of it is begun here. */
  abandoned: boolean;
  /** Writes of outcomes that are under way. */
  writes: Promise<void>[];
  /** Large results under way, by index: how their parts are named and sent. */
  spills: Map<number, { id: string; lanes: Lanes }>;
  /** Set where it is not to run (on). */
  verdict?: Exclude<Verdict, { do: "run" }>;
  /** Whether an executor has begun with it. */
  running: boolean;
  /** Whether all of it has run that will, so that it only waits for its outcomes to be stored. */
  ran: boolean;
  /** The broker did not answer while a large result was sent: it has to run again. */
  unsent: boolean;
  /** When an executor began with it, and for how long it kept one, by `performance.now()`. */
  startedMs: number;
  tookMs: number;
}

export interface RunnerOptions {
  nc: NatsConnection;
  reader: StreamReader;
  datacenter: string;
  worker: string;
  log: Log;
  /** Opens the tag's code and packages, once. */
  setupOf(tag: ActiveTag): Promise<TagSetup>;
  /** A message needs no executor any more; its outcomes may still have to be stored. */
  onRan(tag: ActiveTag, tookMs: number): void;
  /** A message is to come again after so many milliseconds. */
  onDelayed(tag: ActiveTag, delayMs: number): void;
  /** A message that has run has left this worker's hands, whichever way. */
  onEnded(tag: ActiveTag): void;
}

/** What is to be done with a message: all of its outcomes are stored, or it goes back, now or after a pause. */
type Ending = "stored" | "returned" | "again";

export class Runner {
  readonly #options: RunnerOptions;
  readonly #history: History;
  readonly #writers = new Map<string, OutcomeWriter>();
  readonly #held = new Map<Delivery, Promise<void>>();
  readonly #jobs = new Set<CallJob>();
  readonly #stopped = Promise.withResolvers<undefined>();
  #pool: ExecutorPool<CallJob> | undefined;
  #stopping = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { nc, reader, datacenter, worker } = options;
    this.#history = new History(nc, reader, datacenter, worker);
  }

  /** The pool tells the runner of its jobs, so it is made after it. */
  use(pool: ExecutorPool<CallJob>): void {
    this.#pool = pool;
  }

  /** Slots that calls occupy, and how many tags have calls in hand. */
  get activity(): { busy: number; tags: number } {
    const tags = new Set<string>();
    let busy = 0;
    for (const { tag, running, ran } of this.#jobs) {
      tags.add(tag.runnable.id);
      if (running && !ran) busy += tag.runnable.options.cpus;
    }
    return { busy, tags: tags.size };
  }

  /** Whether it has nothing in hand. */
  get idle(): boolean {
    return this.#held.size === 0;
  }

  /** Tells the broker that all messages in hand are still being worked on. */
  keepAll(): void {
    for (const delivery of this.#held.keys()) delivery.keep();
  }

  #writer(u: string): OutcomeWriter {
    let writer = this.#writers.get(u);
    if (writer === undefined) {
      const { nc, datacenter, log } = this.#options;
      writer = new OutcomeWriter(nc, u, datacenter, log);
      this.#writers.set(u, writer);
    }
    return writer;
  }

  /** Works a message to its end: what goes wrong becomes the call's outcome, or it is handed back. */
  take(tag: ActiveTag, delivery: Delivery): void {
    const run = this.#run(tag, delivery).catch((error: Error) => {
      this.#options.log.warn(`call ${delivery.index} of ${tag.runnable.tag}: ${error.message}`);
    });
    this.#held.set(delivery, run);
  }

  async #run(tag: ActiveTag, delivery: Delivery): Promise<void> {
    let job: CallJob | undefined;
    try {
      const call = tag.runnable.verifier.open(delivery.data, delivery.index);
      job = this.#jobOf(tag, call);
      this.#jobs.add(job);
      const verdict = await tag.runnable.control.judge(call);
      if (verdict.do !== "run") job.verdict = verdict;
      const ending = await this.#work(job, delivery);
      if (ending === "stored") delivery.ack();
      else if (!job.abandoned) await this.#handBack(job, delivery, ending);
    } catch (error) {
      await this.#refuse(tag, delivery, error);
    } finally {
      this.#held.delete(delivery);
      if (job !== undefined) this.#jobs.delete(job);
      if (job?.alone === true) tag.suspects--;
      if (job?.ran !== true) this.#options.onRan(tag, job?.tookMs ?? 0);
      this.#options.onEnded(tag);
    }
  }

  #jobOf(tag: ActiveTag, call: VerifiedCall): CallJob {
    const { u, tag: name } = tag.runnable;
    const { reader } = this.#options;
    const { first, count, generation, parts } = call;
    const read = async function* (): AsyncGenerator<Uint8Array> {
      let left = parts;
      const hash = createHash("sha256");
      for await (const stored of reader.all(streamOf.arguments(u), subjectOf.argumentPart(u, name, String(first)))) {
        hash.update(stored.data);
        // Before the last one is passed on: without it nothing is started.
        if (--left === 0 && Buffer.compare(hash.digest(), call.sealed) !== 0) {
          throw new RefusedError(`the arguments of call ${first} are not the ones that were signed`);
        }
        yield stored.data;
        if (left === 0) return;
      }
    };
    return {
      tagId: tag.runnable.id,
      first,
      count,
      generation,
      callHash: call.hash,
      ...(parts === 0 ? { sealed: call.sealed } : { parts: { count: parts, read } }),
      tag,
      writes: [],
      spills: new Map(),
      remaining: new Remaining([{ from: first, to: first + count, attempts: 0 }]),
      losses: 0,
      timeLimitMs: tag.runnable.options.timeLimitMs,
      abandoned: false,
      running: false,
      ran: false,
      unsent: false,
      startedMs: performance.now(),
      tookMs: 0,
    };
  }

  /** What went before is on record before the message is anybody's again. */
  async #handBack(job: CallJob, delivery: Delivery, ending: "returned" | "again"): Promise<void> {
    try {
      await this.#history.write(job, delivery, { losses: job.losses, open: job.remaining.all });
    } catch (error) {
      // It counts as a loss then.
      this.#options.log.warn(`no note of call ${job.first} of ${job.tag.runnable.tag}: ${(error as Error).message}`);
    }
    if (ending === "returned") return delivery.release();
    const delayMs = pauseMs(job.remaining.attempts);
    delivery.release(delayMs);
    this.#options.onDelayed(job.tag, delayMs);
  }

  async #recall(job: CallJob, delivery: Delivery): Promise<void> {
    if (delivery.delivered === 1) return;
    const { losses, open } = await this.#history.read(job, delivery);
    job.remaining = new Remaining(open);
    job.losses = losses;
    // Only what may have ended its worker is under suspicion, and nothing else beside it.
    job.alone = losses > 0;
    if (job.alone) job.tag.suspects++;
  }

  async #work(job: CallJob, delivery: Delivery): Promise<Ending> {
    const pool = this.#pool;
    if (pool === undefined) return "returned";
    if (job.verdict !== undefined) return this.#drop(job, job.verdict);
    try {
      await this.#recall(job, delivery);
    } catch (error) {
      this.#options.log.warn(`what became of call ${job.first} before is not known now: ${(error as Error).message}`);
      this.#rest(job);
      delivery.abandon();
      job.abandoned = true;
      return "returned";
    }
    if (job.losses >= MAX_LOSSES) return this.#giveUp(job, new CallLost(job.losses), "lost");
    try {
      const setup = await Promise.race([this.#options.setupOf(job.tag), this.#stopped.promise]);
      if (setup === undefined || this.#stopping) return "returned";
      pool.addTag(setup);
    } catch (error) {
      if (this.#stopping) return "returned";
      if (isCallsError(error)) return this.#giveUp(job, error, error instanceof RefusedError ? "refused" : "failed");
      this.#options.log.warn(`${job.tag.runnable.tag} cannot be prepared now: ${(error as Error).message}`);
      this.#rest(job);
      return "returned";
    }
    for (let now = job.remaining.next; now !== undefined; now = job.remaining.next) {
      if (job.abandoned) return "returned";
      if (job.verdict !== undefined) return this.#drop(job, job.verdict);
      job.from = now.from;
      job.to = now.to;
      job.attempt = now.attempts + 1;
      job.running = false;
      job.startedMs = performance.now();
      const end = await pool.run(job);
      job.tookMs += performance.now() - job.startedMs;
      if (job.verdict !== undefined) continue;
      if (!this.#settle(job, end)) return "returned";
    }
    await this.#stored(job);
    return job.remaining.tryAgain ? "again" : "stored";
  }

  /** Ends a message that is not to run; calls of it that have an outcome keep it. */
  async #drop(job: CallJob, verdict: Exclude<Verdict, { do: "run" }>): Promise<Ending> {
    switch (verdict.do) {
      case "release":
        this.#options.log.warn(`call ${job.first} of ${job.tag.runnable.tag}: no retry speaks of its generation`);
        this.#rest(job);
        return "returned";
      case "cancel":
        return this.#giveUp(job, new CallCancelled(verdict.reason), "cancelled");
      case "drop":
        await this.#stored(job);
        return "stored";
      default: {
        const never: never = verdict;
        throw new Error(`a message to ${String(never)}`);
      }
    }
  }

  /** Lets go of what is not to run any more, by what is now known of its tag. */
  obey(tag: ActiveTag): void {
    for (const job of this.#jobs) {
      if (job.tag !== tag || job.ran) continue;
      const verdict = judge(tag.runnable.control.state, job);
      if (verdict.do === "run" || verdict.do === "release") continue;
      job.verdict = verdict;
      this.#pool?.kill(job, "it is not to run any more");
    }
  }

  /** None of its calls is run any more. */
  async #giveUp(job: CallJob, error: unknown, state: ErrorState): Promise<Ending> {
    for (const { from, to } of job.remaining.all) this.#storeErrors(job, from, to, error, state);
    await this.#stored(job);
    return "stored";
  }

  /** Gives its place to others, who need not wait for it: a user's full bucket is nobody else's affair. */
  async #stored(job: CallJob): Promise<void> {
    job.ran = true;
    this.#options.onRan(job.tag, job.tookMs);
    await Promise.all(job.writes);
  }

  /** Its tag is not pulled from for a moment. */
  #rest(job: CallJob): void {
    job.tag.restUntilMs = performance.now() + TRY_AGAIN_MS;
  }

  /** Stores what a job's end says beyond its outcomes. @returns false where the message is to be handed back */
  #settle(job: CallJob, end: JobEnd): boolean {
    const { state } = end;
    const { from = job.first, to = job.first + job.count } = job;
    switch (state) {
      case "done":
        return true;
      case "refused":
        this.#storeErrors(job, from, to, new CallRefused(end.reason), "refused");
        return true;
      case "crashed":
        return this.#settleCrash(job, end);
      case "returned":
        if (this.#stopping || end.error === undefined) return false;
        if (end.error instanceof BrokerError) {
          this.#rest(job);
          return false;
        }
        this.#storeErrors(job, from, to, end.error, end.error instanceof RefusedError ? "refused" : "failed");
        return true;
      default: {
        const never: never = state;
        throw new Error(`a job ended ${String(never)}`);
      }
    }
  }

  #settleCrash(job: CallJob, { index, cause }: Extract<JobEnd, { state: "crashed" }>): boolean {
    const overTime = cause.kind === "time";
    // An executor that ended because the worker stops says nothing about the call.
    if (!overTime && (this.#stopping || job.abandoned)) return false;
    if (job.unsent) {
      this.#rest(job);
      return false;
    }
    const again = !overTime && this.#mayTryAgain(job);
    job.remaining.ended(index, again);
    if (!again) void this.#storeError(job, index, crashError(cause), overTime ? "killed" : "failed", cause.ranMs);
    return true;
  }

  #mayTryAgain(job: CallJob): boolean {
    return (job.attempt ?? 1) < job.tag.runnable.options.attempts;
  }

  #storeErrors(job: CallJob, from: number, to: number, error: unknown, state: ErrorState): void {
    for (let index = from; index < to; index++) {
      job.remaining.ended(index, false);
      void this.#storeError(job, index, error, state);
    }
  }

  #storeError(job: CallJob, index: number, error: unknown, state: ErrorState, ranMs = 0): Promise<void> {
    const { runnable } = job.tag;
    const { rootKey, user, tag } = runnable.manifest;
    const { generation, callHash, attempt, losses } = job;
    const worker = this.#options.worker;
    const attempts = attempt ?? 0;
    const meta = { startedMs: Date.now() - ranMs, durationMs: ranMs, worker, attempts, losses, state };
    const plaintext = encodeOutcome(meta, encodeError(error));
    const context = { rootKey, user, tag, kind: SealKind.error, first: index, count: 1, generation, callHash };
    return this.#store(job, { index, kind: "error", sealed: seal(runnable.tagKey, context, plaintext), parts: 0 });
  }

  #store(job: CallJob, outcome: Outcome): Promise<void> {
    const { u, tag } = job.tag.runnable;
    const { generation, callHash } = job;
    const { index, kind, sealed } = outcome;
    const spill = job.spills.get(index);
    const data = encodeOutcomeMessage({ generation, callHash, partsId: spill?.id ?? "", sealed });
    const write = () => this.#writer(u).write(tag, index, kind, data);
    const stored =
      spill === undefined ? write() : spill.lanes.done().then(write, (error) => this.#notSent(job, index, error));
    job.writes.push(stored);
    // Whoever waits for the job hears of it, but maybe only after other calls of it have run.
    stored.catch(() => undefined);
    return stored;
  }

  /** What the broker refuses (the bucket is full) it will refuse again; where it did not answer the call runs again. */
  #notSent(job: CallJob, index: number, error: unknown): Promise<void> {
    if (!(error instanceof ApiError)) throw error;
    job.spills.delete(index);
    return this.#storeError(job, index, new CallFailed(`its result could not be stored: ${error.message}`), "failed");
  }

  /** For the pool: the job is the one that its executor works on. */
  onRunning(job: CallJob): void {
    job.running = true;
    job.startedMs = performance.now();
  }

  /** For the pool: a call came to its outcome. */
  onOutcome(job: CallJob, outcome: Outcome): void {
    const { index, kind, permanent } = outcome;
    const again = kind === "error" && permanent !== true && this.#mayTryAgain(job);
    job.remaining.ended(index, again);
    if (again) job.spills.delete(index);
    else void this.#store(job, outcome);
  }

  /** For the pool: a part of a large result. Resolves when the next may come. */
  async onResultPart(job: CallJob, index: number, part: number, sealed: Uint8Array): Promise<void> {
    const { nc, datacenter } = this.#options;
    const { u, tag } = job.tag.runnable;
    let spill = job.spills.get(index);
    if (part === 0 || spill === undefined) {
      // A call that runs again names its parts anew, so two runs never mix.
      spill = { id: `${index}-${randomBytes(8).toString("hex")}`, lanes: new Lanes(PARTS_AT_ONCE) };
      job.spills.set(index, spill);
    }
    const subject = subjectOf.outputPart(u, datacenter, tag, spill.id);
    try {
      await spill.lanes.run(() => publish(nc, { subject, data: sealed }));
    } catch (error) {
      job.unsent = !(error instanceof ApiError);
      throw error;
    }
  }

  /** A message that is not what the submitter signed is never run; its submitter is told. */
  async #refuse(tag: ActiveTag, delivery: Delivery, error: unknown): Promise<void> {
    const { log } = this.#options;
    const { runnable } = tag;
    const message = (error as Error).message;
    if (!(error instanceof RefusedError || error instanceof DecodeError)) {
      log.warn(`call ${delivery.index} of ${runnable.tag} is handed back: ${message}`);
      delivery.release();
      return;
    }
    log.warn(`refused call ${delivery.index} of ${runnable.tag} by ${runnable.grant.name}: ${message}`);
    if (Number.isNaN(delivery.index)) {
      // No call has that subject, so nobody waits for an outcome.
      delivery.ack();
      return;
    }
    const call = { first: delivery.index, count: 1, generation: 0, parts: 0, sealed: delivery.data };
    const job = this.#jobOf(tag, { ...call, hash: leafHash(delivery.data) });
    void this.#storeError(job, delivery.index, new CallRefused(message), "refused");
    await Promise.all(job.writes);
    delivery.ack();
  }

  /**
   * This process did not run for so long that its calls may be other workers' by now: begins none of them, and hands
   * none back. What runs goes on; its outcome counts if it is the first.
   */
  abandonUnstarted(): void {
    for (const delivery of this.#held.keys()) delivery.abandon();
    for (const job of this.#jobs) {
      if (job.running || job.ran) continue;
      job.abandoned = true;
      this.#pool?.kill(job, "it may be another worker's by now");
    }
  }

  /** Hands back at once what has not been started, and lets what runs go on for so long. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#stopped.resolve(undefined);
    for (const job of this.#jobs) if (!job.running) this.#pool?.kill(job, "the worker stops");
    await this.#settled(graceMs);
  }

  /** Resolves when every message in hand has ended, or after a while. */
  settled(): Promise<void> {
    return this.#settled(SETTLE_MS);
  }

  async #settled(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([Promise.all(this.#held.values()), timeout]);
    clearTimeout(timer);
  }

  /** Gives up what is not stored. */
  close(): void {
    for (const writer of this.#writers.values()) writer.close();
  }
}
