/** The worker's end of one executor. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { ArgumentSender } from "./argument-parts.ts";
import { CallLimits } from "./call-limits.ts";
import { Channel } from "./channel.ts";
import { endCause } from "./end-cause.ts";
import {
  type EndCause,
  INLINE_LIMIT_BYTES,
  type Job,
  type JobEnd,
  type JobHandlers,
  OUTPUT_LIMIT_BYTES,
  PART_BYTES,
  type TagSetup,
} from "./job.ts";
import { type HeldJob, JobTable } from "./job-table.ts";
import { type Launched, launch } from "./launch.ts";
import type { ExecutorOptions } from "./options.ts";
import { OutputRouter } from "./output-router.ts";
import { readPosition } from "./position-file.ts";
import { endOf, ProcessGroup } from "./process-group.ts";
import type { Message, MessageBody } from "./protocol.ts";
import { removeFolder } from "./remove-folder.ts";
import { afterNextPoll, within } from "./timing.ts";
import { ToldTags } from "./told-tags.ts";
import { Usage } from "./usage.ts";

/** How long an executor may take to be up, and */
const START_TIMEOUT_MS = 30_000;
/** how long output may keep coming after its end (a process that left the group holds the pipe). */
const LATE_OUTPUT_MS = 200;
/** How long a process may outlive its pipe. */
const CLOSED_GRACE_MS = 1_000;
/** Default time between SIGTERM and SIGKILL. */
const STOP_GRACE_MS = 1_000;
/** Outcomes are held to 64 KiB and one more, parts are smaller. */
const FRAME_SLACK_BYTES = 256 * 1024;

export class Executor<J extends Job = Job> {
  /** Resolves when the process has ended and all of its jobs have an end. */
  readonly ended: Promise<EndCause>;
  /** What it takes of the machine. */
  readonly use: Usage;
  readonly #launched: Launched;
  readonly #group: ProcessGroup;
  readonly #handlers: JobHandlers<J>;
  readonly #table: JobTable<J>;
  readonly #output: OutputRouter<J>;
  readonly #channel: Channel;
  readonly #arguments: ArgumentSender<J>;
  readonly #limits: CallLimits;
  readonly #told: ToldTags;
  #unsent: HeldJob<J>[] = [];
  #headSinceMs = 0;
  #begun = 0;
  #reading = true;
  #ready = false;
  #exited = false;
  #accepting = true;
  #asked: string | undefined;
  #fault: string | undefined;
  #startError: Error | undefined;
  #settling: Promise<void> = Promise.resolve();
  #onReady: () => void = () => undefined;

  /** Starts the process. Jobs can be handed over at once; `ended` tells where it does not come up. */
  static start<J extends Job>(options: ExecutorOptions, handlers: JobHandlers<J>): Executor<J> {
    return new Executor(options, handlers);
  }

  private constructor(options: ExecutorOptions, handlers: JobHandlers<J>) {
    const marker = randomBytes(16).toString("hex");
    const inlineLimitBytes = options.inlineLimitBytes ?? INLINE_LIMIT_BYTES;
    const outputLimitBytes = options.outputLimitBytes ?? OUTPUT_LIMIT_BYTES;
    this.#handlers = handlers;
    this.#table = new JobTable((held) => this.#startJob(held));
    const onPrinted = (bytes: number) => this.#limits.take({ what: "output", bytes });
    this.#output = new OutputRouter(this.#table, handlers, marker, outputLimitBytes, onPrinted);
    this.#launched = launch(options);
    this.#channel = new Channel(this.#launched, Math.max(inlineLimitBytes, PART_BYTES) + FRAME_SLACK_BYTES);
    this.#arguments = new ArgumentSender(this.#channel, this.#table, (held, error) => this.#giveUp(held, error));
    this.#told = new ToldTags(this.#channel, this.#launched.packagesPath);
    this.#group = new ProcessGroup(this.#launched);
    this.#limits = new CallLimits(this.#group, options, {
      running: () => this.#runningCall(),
      onOver: () => {
        this.#accepting = false;
      },
      tellMemory: (bytes) => {
        const { head } = this.#table;
        if (head !== undefined) void this.#channel.send("memory", { job: head.id, bytes });
      },
    });
    this.use = new Usage(this.#launched, this.#limits, this);
    this.#launched.stdout.on("data", (chunk: Buffer) => this.#output.push("stdout", chunk));
    this.#launched.stderr.on("data", (chunk: Buffer) => this.#output.push("stderr", chunk));
    // A pipe that breaks is the end of the process, which `ended` reports.
    for (const pipe of this.#launched.child.stdio) pipe?.on("error", () => undefined);
    this.ended = this.#watch();
    this.#channel.send("start", {
      inlineLimitBytes,
      outputLimitBytes,
      marker,
      folders: this.#launched.folders,
      watchLifeline: options.isolation === "none" ? 1 : 0,
      worker: options.worker ?? "",
    });
  }

  /** Jobs that it holds: the running one and those behind it. */
  get load(): number {
    return this.#table.size;
  }

  /** Whether it takes further jobs. */
  get accepting(): boolean {
    return this.#accepting && !this.use.isFull;
  }

  /** The job that runs. */
  get running(): J | undefined {
    return this.#table.head?.job;
  }

  /** For how long; 0 where none does. */
  get runningMs(): number {
    return this.#table.head === undefined || this.#exited ? 0 : performance.now() - this.#headSinceMs;
  }

  /** How many jobs it has begun. */
  get begun(): number {
    return this.#begun;
  }

  /** Tells it of a tag, once. Its jobs may follow at once. */
  addTag(setup: TagSetup): void {
    this.#told.add(setup);
  }

  /** Lets go of a tag's key and, if no other tag uses it, its code. */
  forgetTag(tagId: string, codeId: string | undefined): void {
    this.#told.forget(tagId, codeId);
  }

  /** Runs a job after those it holds. Always resolves; jobs handed over in one tick travel together. */
  run(job: J): Promise<JobEnd> {
    if (!this.accepting) {
      return Promise.resolve({ state: "returned", outcomes: [], reason: "the executor takes no more jobs" });
    }
    return new Promise((resolve) => {
      this.#unsent.push(this.#table.add(job, resolve));
      if (this.#unsent.length === 1) setImmediate(() => this.#sendJobs());
    });
  }

  /**
   * Takes back the jobs behind the running one; each ends `returned` unless it has been started by then.
   *
   * An executor that is deep in user code cannot answer. But it reads its messages before it starts another job: so
   * if the message has reached it and the running job's end was not sent before, those behind will not start.
   */
  async withdraw(): Promise<void> {
    const { head } = this.#table;
    const waiting = this.#table.waiting();
    if (head === undefined || waiting.length === 0) return;
    this.#sendJobs();
    for (const held of waiting) held.asked = true;
    await this.#channel.send("withdraw", { jobs: waiting.map((held) => held.id) });
    await afterNextPoll();
    if (head.nextRead === head.end || head.ended || !this.#reading) return;
    this.#release(waiting.map((held) => held.id));
  }

  /** Ends it at once, with everything it started. The running job ends `crashed`, its cause `killed` with the reason. */
  kill(reason: string): void {
    this.#asked ??= reason;
    this.#accepting = false;
    this.#group.kill();
  }

  /** SIGTERM to everything it started, SIGKILL after `graceMs` (default 1000). Resolves when it has ended. */
  async stop(reason = "the executor was stopped", graceMs = STOP_GRACE_MS): Promise<void> {
    this.#asked ??= reason;
    this.#accepting = false;
    this.#group.terminate();
    await within(this.ended, graceMs);
    this.#group.kill();
    await this.ended;
  }

  #runningCall(): { job: number; index: number } | undefined {
    const { head } = this.#table;
    return head === undefined || head.nextRead >= head.end ? undefined : { job: head.id, index: head.nextRead };
  }

  #startJob(held: HeldJob<J>): void {
    this.#headSinceMs = performance.now();
    this.#begun++;
    this.#limits.next();
    this.#output.startJob();
    this.#arguments.next();
    this.#handlers.onRunning?.(held.job);
  }

  #sendJobs(): void {
    const jobs = this.#unsent.filter((held) => !held.ended);
    this.#unsent = [];
    if (jobs.length === 0) return;
    this.#channel.send("run", { jobs: jobs.map((held) => held.frame()) });
    for (const held of jobs) this.#arguments.add(held);
  }

  /** Its arguments do not come, and it waits for them, so it has not been started. */
  #giveUp(held: HeldJob<J>, error: unknown): void {
    this.#channel.send("withdraw", { jobs: [held.id] });
    const reason = `the arguments did not come: ${(error as Error).message}`;
    this.#table.end(held, { state: "returned", outcomes: held.outcomes, reason, error });
  }

  async #watch(): Promise<EndCause> {
    const { child, stdout, stderr, workDir, positionFd } = this.#launched;
    const exited = endOf(child).then((startError) => {
      this.#startError = startError;
      this.#exited = true;
    });
    const printed = Promise.all([once(stdout, "close"), once(stderr, "close")]);
    const read = this.#read();
    await this.#untilReady(exited);
    // Its end of the pipe closed and it lives: user code closed it. Nothing can be heard of it any more.
    void read.then(() => this.#killUnless(exited, CLOSED_GRACE_MS, "the executor's pipe to the worker was closed"));
    await exited;
    this.#accepting = false;
    this.#group.finish();
    const facts = this.#limits.finish();
    await within(Promise.all([read, printed]), LATE_OUTPUT_MS);
    for (const pipe of child.stdio) pipe?.destroy();
    await read;
    await this.#settling;
    this.#output.end();
    const cause = endCause({
      ...facts,
      exitCode: child.exitCode,
      signal: child.signalCode,
      stderr: this.#output.lastLines,
      ready: this.#ready,
      asked: this.#asked,
      fault: this.#fault,
      startError: this.#startError,
    });
    // What was never up cannot have been taken down by a call.
    if (this.#ready) this.#table.crash(readPosition(positionFd), cause);
    else this.#table.returnAll(cause.message, false);
    closeSync(positionFd);
    await this.#group.gone();
    await removeFolder(workDir);
    return cause;
  }

  async #untilReady(exited: Promise<void>): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    const late = `the executor was not up within ${START_TIMEOUT_MS / 1000} s`;
    await this.#killUnless(Promise.race([ready, exited]), START_TIMEOUT_MS, late);
  }

  async #killUnless(event: Promise<unknown>, afterMs: number, fault: string): Promise<void> {
    if (await within(event, afterMs)) return;
    this.#fault ??= fault;
    this.#group.kill();
  }

  async #read(): Promise<void> {
    try {
      await this.#channel.read(
        (part) => this.#takePart(part),
        (messages) => {
          for (const message of messages) this.#note(message);
          this.#settleLater(messages);
        },
      );
    } catch (error) {
      if (this.#exited) return;
      this.#fault ??= `the executor sent nonsense: ${(error as Error).message}`;
      this.#group.kill();
    }
  }

  /** Text that a call printed was written before its end was: acts on the end once that text has been read. */
  #settleLater(messages: Message[]): void {
    this.#settling = this.#settling.then(afterNextPoll).then(() => {
      for (const message of messages) this.#settle(message);
    });
  }

  async #takePart({ job, index, part, sealed }: MessageBody<"resultPart">): Promise<void> {
    const held = this.#table.get(job);
    if (held === undefined) return;
    if (index !== held.nextRead || index >= held.end) {
      this.#fault ??= `the executor sent a part of the result of call ${index}, which it was not running`;
      this.#group.kill();
      return;
    }
    this.#reading = false;
    try {
      await this.#handlers.onResultPart?.(held.job, index, part, sealed);
    } catch (error) {
      this.kill(`a part of the result of call ${index} could not be stored: ${(error as Error).message}`);
    }
    this.#reading = true;
  }

  /** What has been read, long before it is acted on. */
  #note(message: Message): void {
    if (message.kind === "ready") {
      this.#ready = true;
      this.#onReady();
    } else if (message.kind === "begun") {
      const { job, index } = message.body;
      this.#limits.begin(job, index, this.#table.get(job)?.job.timeLimitMs ?? 0);
    } else if (message.kind === "done") {
      for (const { job, index, count } of message.body.outcomes) {
        this.#limits.end(job, index);
        const held = this.#table.get(job);
        if (held !== undefined) held.nextRead = index + count;
      }
    } else if (message.kind === "refused") {
      const held = this.#table.get(message.body.job);
      if (held !== undefined) held.nextRead = held.end;
    }
  }

  #settle(message: Message): void {
    switch (message.kind) {
      case "ready":
      case "begun":
        return;
      case "done":
        for (const outcome of message.body.outcomes) this.#takeOutcome(outcome);
        return;
      case "refused": {
        const held = this.#table.get(message.body.job);
        const { reason } = message.body;
        if (held !== undefined) this.#table.end(held, { state: "refused", outcomes: held.outcomes, reason });
        return;
      }
      case "withdrawn":
        this.#release(message.body.jobs);
        return;
      case "retired":
        this.#accepting = false;
        this.#table.returnAll(message.body.reason);
        void this.stop(message.body.reason);
        return;
      default:
        this.#fault ??= `the executor sent ${message.kind}, which only a worker sends`;
        this.#group.kill();
    }
  }

  #takeOutcome({ job, index, count, failed, permanent, parts, sealed }: MessageBody<"done">["outcomes"][number]): void {
    // Whatever it made of the time it was given to clean up: its time was over.
    if (this.#limits.isOver(job, index)) {
      this.#group.kill();
      return;
    }
    const held = this.#table.get(job);
    const isPack = count > 1;
    const fits = isPack ? held?.together === true && count === held.job.count : count === 1;
    if (held === undefined || index !== held.next || !fits || held !== this.#table.head) {
      this.#fault ??= `the executor sent an outcome of call ${index}, which it was not running`;
      this.#group.kill();
      return;
    }
    const outcome = {
      index,
      kind: isPack ? "pack" : failed === 1 ? "error" : "result",
      sealed,
      parts,
      permanent: permanent === 1,
    } as const;
    held.outcomes.push(outcome);
    held.next = index + count;
    this.#handlers.onOutcome?.(held.job, outcome);
    if (held.next === held.end) this.#table.end(held, { state: "done", outcomes: held.outcomes });
  }

  #release(ids: readonly number[]): void {
    for (const id of ids) {
      const held = this.#table.get(id);
      if (held === undefined || !held.asked) continue;
      this.#table.end(held, { state: "returned", outcomes: held.outcomes, reason: "withdrawn before it was started" });
    }
  }
}
