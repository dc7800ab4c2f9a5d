/** Works messages to their end: what goes wrong becomes the call's outcome, or the message is handed back. */
import type { NatsConnection } from "@nats-io/transport-node";
import { pauseMs } from "../core/attempts.ts";
import type { StreamReader } from "../core/broker/read.ts";
import { CallCancelled } from "../core/control/cancelled.ts";
import { DecodeError, RefusedError } from "../core/errors.ts";
import type { ErrorState } from "../core/outcome.ts";
import { leafHash } from "../core/trust/merkle.ts";
import type { ActiveTag } from "./active.ts";
import type { Audit } from "./audit/audit.ts";
import { CallLost, CallRefused } from "./call-errors.ts";
import { type CallJob, jobOf } from "./call-job.ts";
import { judge, type Verdict } from "./control.ts";
import type { Cuts } from "./cuts.ts";
import type { JobEnd, Outcome, TagSetup } from "./executor/job.ts";
import { within } from "./executor/timing.ts";
import { BegunNotes } from "./limits/begun.ts";
import { History, Remaining } from "./limits/history.ts";
import type { Log } from "./log.ts";
import { OutcomeStore } from "./outcome-store.ts";
import type { Executors } from "./parts.ts";
import type { Delivery } from "./pull.ts";
import { Settler } from "./settler.ts";
import { isCallsError } from "./setup.ts";

/** A tag whose code, packages or arguments could not be fetched, or results not be stored, is tried again after this. */
const TRY_AGAIN_MS = 2_000;
/** How long a message that goes back waits for outcomes of its calls that are on their way to the broker. */
const STORE_MS = 1_000;
/** How long storing may still take when the worker stops. */
const SETTLE_MS = 5_000;

export interface RunnerOptions {
  nc: NatsConnection;
  reader: StreamReader;
  datacenter: string;
  worker: string;
  log: Log;
  audit: Audit;
  cuts: Cuts;
  /** Whether calls of a tag may be begun at this moment. */
  mayBegin(tag: ActiveTag): boolean;
  /** Opens the tag's code and packages, once. */
  setupOf(tag: ActiveTag): Promise<TagSetup>;
  /** A message needs no executor any more; its outcomes may still have to be stored. */
  onRan(tag: ActiveTag, tookMs: number): void;
  /** A message is to come again after so many milliseconds. */
  onDelayed(tag: ActiveTag, delayMs: number): void;
  /** A message of so many bytes that has run has left this worker's hands, whichever way. */
  onEnded(tag: ActiveTag, bytes: number): void;
}

/** Why a job was refused, where it was. */
function refusalOf(end: JobEnd): string | undefined {
  if (end.state === "refused") return end.reason;
  return end.state === "returned" && end.error instanceof RefusedError ? end.error.message : undefined;
}

/** What is to be done with a message: all of its outcomes are stored, or it goes back, now or after a pause. */
type Ending = "stored" | "returned" | "again";

export class Runner {
  readonly #options: RunnerOptions;
  readonly #history: History;
  readonly #begun: BegunNotes;
  readonly #store: OutcomeStore;
  readonly #settler: Settler;
  /** Messages in hand, and who waits until there is none. */
  #held = 0;
  #onIdle: (() => void)[] = [];
  readonly #jobs = new Set<CallJob>();
  readonly #stopped = Promise.withResolvers<undefined>();
  #pool: Executors | undefined;
  #stopping = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { nc, reader, datacenter, worker } = options;
    this.#history = new History(nc, reader, datacenter, worker);
    this.#begun = new BegunNotes(this.#history, this.#jobs);
    this.#store = new OutcomeStore(options);
    this.#settler = new Settler(this.#store, worker);
  }

  /** The pool tells the runner of its jobs, so it is made after it. */
  use(pool: Executors): void {
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
    return this.#held === 0;
  }

  /** Works a message to its end: what goes wrong becomes the call's outcome, or it is handed back. */
  take(tag: ActiveTag, delivery: Delivery): void {
    this.#held++;
    this.#run(tag, delivery).catch((error: Error) => {
      this.#options.log.warn(`call ${delivery.index} of ${tag.runnable.tag}: ${error.message}`);
    });
  }

  async #run(tag: ActiveTag, delivery: Delivery): Promise<void> {
    let job: CallJob | undefined;
    try {
      const call = tag.runnable.verifier.open(delivery.data, delivery.index);
      job = jobOf(this.#options.reader, tag, call);
      job.delivery = delivery;
      this.#jobs.add(job);
      const { control } = tag.runnable;
      let verdict = judge(control.state, call);
      // It may be of a retry that was not heard of.
      if (verdict.do === "release") verdict = await control.judge(call);
      const { refusal } = tag.runnable;
      if (verdict.do !== "run") job.verdict = verdict;
      else if (refusal !== undefined) job.verdict = { do: "refuse", reason: refusal };
      const ending = await this.#work(job, delivery);
      if (ending === "stored") delivery.ack();
      else if (!job.abandoned) await this.#handBack(job, delivery, ending);
    } catch (error) {
      await this.#fail(tag, delivery, job, error);
    } finally {
      // Whatever went wrong, it is not kept for ever.
      delivery.abandon();
      if (--this.#held === 0) for (const idle of this.#onIdle.splice(0)) idle();
      if (job !== undefined) this.#jobs.delete(job);
      if (job?.alone === true) tag.suspects--;
      if (job?.ran !== true) this.#options.onRan(tag, job?.tookMs ?? 0);
      this.#options.onEnded(tag, delivery.data.length);
    }
  }

  /** What went before is on record before the message is anybody's again. */
  async #handBack(job: CallJob, delivery: Delivery, ending: "returned" | "again"): Promise<void> {
    await within(Promise.allSettled(job.writes), STORE_MS);
    try {
      // An outcome that is not stored by now may never be: whoever gets the message runs that call again.
      const open = job.remaining.allWith(job.unstored);
      await this.#history.write(job, delivery, { lostOn: job.lostOn, open });
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
    const { lostOn, open } = await this.#history.read(job, delivery);
    job.remaining = new Remaining(open);
    job.lostOn = lostOn;
    job.losses = lostOn.length;
    // Of a chunk some may have ended where its last worker did not come to say so.
    if (job.count > 1) job.remaining = job.remaining.without(await this.#store.ended(job, job.remaining.indices()));
    // Only what may have ended its worker is under suspicion, and nothing else beside it.
    job.alone = job.losses > 0;
    if (job.alone) job.tag.suspects++;
  }

  async #work(job: CallJob, delivery: Delivery): Promise<Ending> {
    const pool = this.#pool;
    if (pool === undefined) return "returned";
    if (job.verdict !== undefined) return this.#drop(job, job.verdict);
    try {
      if (delivery.delivered > 1) await this.#recall(job, delivery);
    } catch (error) {
      this.#options.log.warn(`what became of call ${job.first} before is not known now: ${(error as Error).message}`);
      this.#rest(job);
      delivery.abandon();
      job.abandoned = true;
      return "returned";
    }
    if (job.losses >= job.tag.runnable.options.maxLosses) return this.#giveUp(job, new CallLost(job.lostOn), "lost");
    // Most messages find all of this known: what has nothing to wait for goes to an executor in the turn in which it came.
    const ending = pool.knows(job.tagId) ? undefined : await this.#prepare(pool, job);
    if (ending !== undefined || this.#stopping) return ending ?? "returned";
    for (let now = job.remaining.next; now !== undefined; now = job.remaining.next) {
      if (job.abandoned || !this.#options.mayBegin(job.tag)) return "returned";
      if (!this.#options.audit.writable) {
        this.#rest(job);
        return "returned";
      }
      if (job.verdict !== undefined) return this.#drop(job, job.verdict);
      job.together = job.losses === 0;
      job.from = now.from;
      job.to = now.to;
      job.attempt = now.attempts + 1;
      job.running = false;
      job.startedMs = performance.now();
      const end = await pool.run(job);
      job.tookMs += performance.now() - job.startedMs;
      if (job.verdict !== undefined) continue;
      const next = this.#settler.end(job, end, this.#stopping);
      const refused = refusalOf(end);
      if (refused !== undefined) this.#noteRefused(job.tag, job.first, refused);
      if (next === "go on") continue;
      if (next === "rest") this.#rest(job);
      return "returned";
    }
    await this.#stored(job);
    return job.remaining.tryAgain ? "again" : "stored";
  }

  /** Executors get to know the tag of a message. @returns where they do not, what is to be done with it */
  async #prepare(pool: Executors, job: CallJob): Promise<Ending | undefined> {
    try {
      const setup = await Promise.race([this.#options.setupOf(job.tag), this.#stopped.promise]);
      if (setup === undefined) return "returned";
      pool.addTag(setup);
      return undefined;
    } catch (error) {
      if (this.#stopping) return "returned";
      if (isCallsError(error)) return this.#giveUp(job, error, error instanceof RefusedError ? "refused" : "failed");
      this.#options.log.warn(`${job.tag.runnable.tag} cannot be prepared now: ${(error as Error).message}`);
      this.#rest(job);
      return "returned";
    }
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
      case "refuse":
        return this.#giveUp(job, new CallRefused(verdict.reason), "refused");
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

  /** Hands back what has not begun of tags whose time is over, or whose submitter may not be served now. */
  releaseHeld(): void {
    for (const job of this.#jobs) {
      if (job.running || job.ran || job.verdict !== undefined || this.#options.mayBegin(job.tag)) continue;
      this.#pool?.kill(job, "none of its tag is begun now");
    }
  }

  /** Ends what runs of tags that have ended here; nothing of them is stored any more. */
  endRevoked(): void {
    const users = new Set<string>();
    for (const job of this.#jobs) {
      if (!job.tag.ended || job.abandoned) continue;
      job.abandoned = true;
      // Should the broker still take it, the refusals after a new grant need not wait for the lease to end.
      job.delivery?.release();
      job.delivery?.abandon();
      users.add(job.tag.runnable.u);
      this.#pool?.kill(job, "its submitter was revoked");
    }
    for (const u of users) this.#store.abandon(u);
  }

  /** None of its calls is run any more. */
  async #giveUp(job: CallJob, error: unknown, state: ErrorState): Promise<Ending> {
    if (state === "refused") this.#noteRefused(job.tag, job.first, (error as Error).message);
    for (const { from, to } of job.remaining.all) this.#settler.errors(job, from, to, error, state);
    await this.#stored(job);
    return "stored";
  }

  /** Gives its place to others, who need not wait for it: a user's full bucket is nobody else's affair. */
  #stored(job: CallJob): Promise<unknown> {
    job.ran = true;
    this.#options.onRan(job.tag, job.tookMs);
    const [only] = job.writes;
    return only !== undefined && job.writes.length === 1 ? only : Promise.all(job.writes);
  }

  /** Its tag is not pulled from for a moment. */
  #rest(job: CallJob): void {
    job.tag.restUntilMs = performance.now() + TRY_AGAIN_MS;
  }

  /** For the pool: the job is the one that its executor works on. */
  onRunning(job: CallJob): void {
    job.running = true;
    job.startedMs = performance.now();
    const { tagId, first, count, from = first, to = first + count, generation } = job;
    this.#options.audit.began(tagId, from, to, generation);
    this.#begun.begun(job);
  }

  /** For the pool: see {@link OutcomeStore.part}. */
  onResultPart(job: CallJob, index: number, part: number, sealed: Uint8Array): Promise<void> {
    return this.#store.part(job, index, part, sealed);
  }

  /** For the pool: a call came to its outcome. */
  onOutcome(job: CallJob, outcome: Outcome): void {
    this.#settler.outcome(job, outcome);
  }

  /** A message that this worker cannot run (no executor comes up, the broker does not answer) may run elsewhere. */
  async #fail(tag: ActiveTag, delivery: Delivery, job: CallJob | undefined, error: unknown): Promise<void> {
    if (error instanceof RefusedError || error instanceof DecodeError) return this.#refuse(tag, delivery, error);
    this.#options.log.warn(`call ${delivery.index} of ${tag.runnable.tag} is handed back: ${(error as Error).message}`);
    tag.restUntilMs = performance.now() + TRY_AGAIN_MS;
    if (job === undefined) delivery.release();
    else if (!job.abandoned) await this.#handBack(job, delivery, "returned");
  }

  /** A message that is not what the submitter signed is never run; its submitter is told. */
  async #refuse(tag: ActiveTag, delivery: Delivery, { message }: Error): Promise<void> {
    const { runnable } = tag;
    this.#options.log.warn(`refused call ${delivery.index} of ${runnable.tag} by ${runnable.grant.name}: ${message}`);
    this.#noteRefused(tag, delivery.index, message);
    if (Number.isNaN(delivery.index)) {
      // No call has that subject, so nobody waits for an outcome.
      delivery.ack();
      return;
    }
    const call = { first: delivery.index, count: 1, generation: 0, parts: 0, sealed: delivery.data };
    const job = jobOf(this.#options.reader, tag, { ...call, hash: leafHash(delivery.data) });
    void this.#store.error(job, delivery.index, new CallRefused(message), "refused");
    await Promise.all(job.writes);
    delivery.ack();
  }

  #noteRefused({ runnable: { grant, tag } }: ActiveTag, index: number, reason: string): void {
    const { name, user } = grant;
    this.#options.audit.refused({ what: "call", reason, name, user, tag, ...(index >= 0 && { call: index }) });
  }

  /**
   * Messages that may be other workers' by now: begins none of them, and hands none back. What runs goes on; its
   * outcome counts if it is the first.
   * @returns how many there were
   */
  abandonUnstarted(): number {
    let abandoned = 0;
    for (const job of this.#jobs) {
      if (job.running || job.ran || job.abandoned || job.delivery?.held !== false) continue;
      job.abandoned = true;
      job.delivery.abandon();
      this.#pool?.kill(job, "it may be another worker's by now");
      abandoned++;
    }
    return abandoned;
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
    if (this.idle) return;
    await within(new Promise<void>((resolve) => this.#onIdle.push(resolve)), withinMs);
  }

  /** Gives up what is not stored. */
  close(): void {
    this.#begun.stop();
    this.#store.close();
  }
}
