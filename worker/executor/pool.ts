/**
 * A worker's executors.
 *
 * At most `slots` processes, each belonging to one user and one memory limit from its start to its end. A job goes to an
 * idle executor of its user and limit, else into a free slot, else in the place of other idle executors (those idle
 * longest), else, if the tag's calls are short, behind a running job of its user and limit; else it waits, in order.
 */
import { mkdir } from "node:fs/promises";
import type { MemoryGroups } from "../limits/cgroup.ts";
import { givenBack } from "./end-cause.ts";
import { ExecutorStartError } from "./errors.ts";
import { Executor } from "./executor.ts";
import type { EndCause, Job, JobEnd, JobHandlers, TagSetup } from "./job.ts";
import type { ExecutorOptions } from "./options.ts";
import { Pace } from "./pace.ts";
import { removeStaleFolders } from "./stale-folders.ts";
import type { Usage } from "./usage.ts";
import { type Waiting, WaitingLine } from "./waiting-line.ts";
import { Watches } from "./watches.ts";
import { makeWorkRoot } from "./work-root.ts";

export interface PoolOptions extends Omit<ExecutorOptions, "packagesRoot" | "memoryBytes" | "memoryGroup"> {
  /** Executors at a time. */
  slots: number;
  /** Memory that limited executors may take together, in bytes. Default: any. */
  memoryBytes?: number;
  /** Makes the kernel's limit for an executor, where the kernel lets this worker. */
  memoryGroups?: MemoryGroups | undefined;
  /** The folder with a user's package sets, created where it is missing; see worker/packages. */
  packagesRootOf?: (user: string) => string;
}

class Slot<J extends Job> {
  readonly user: string;
  readonly executor: Executor<J>;
  /** What each of its calls may take, in bytes; 0 for no limit. */
  readonly memoryBytes: number;
  /** When its last job ended, or it was started. */
  idleSince = performance.now();
  /** Whether it ever had a job. */
  used = false;
  /** Since when the jobs in `ran` have run, one after the other. */
  runningSinceMs = 0;
  /** Tags of the jobs that it has run and that nothing was learned from yet. */
  ran: string[] = [];

  constructor(user: string, memoryBytes: number, executor: Executor<J>) {
    this.user = user;
    this.memoryBytes = memoryBytes;
    this.executor = executor;
  }

  get use(): Usage {
    return this.executor.use;
  }

  get idleSinceMs(): number | undefined {
    return this.used && this.executor.load === 0 ? this.idleSince : undefined;
  }
}

/** After so many executors in a row that did not come up, jobs are not kept waiting for another. */
const MAX_START_FAILURES = 3;
/** An executor may retire just before a job's first call, for what an earlier one left; not so often in a row. */
const MAX_VAIN = 5;
/** A job that runs longer than this lets go of those behind it. */
const STUCK_MS = 200;

export class ExecutorPool<J extends Job = Job> {
  readonly #options: PoolOptions;
  readonly #handlers: JobHandlers<J>;
  readonly #slots = new Set<Slot<J>>();
  readonly #tags = new Map<string, TagSetup>();
  readonly #paces = new Map<string, Pace>();
  readonly #where = new Map<J, Slot<J>>();
  readonly #ending = new Set<Promise<unknown>>();
  readonly #waiting = new WaitingLine<J>();
  readonly #killed = new Map<J, string>();
  readonly #preparing = new Map<string, Promise<unknown>>();
  readonly #prepared = new Set<string>();
  readonly #watches = new Watches<Slot<J>>((slot, reason) => this.#endSlot(slot, reason));
  #startFailures = 0;
  #stuckTimer: NodeJS.Timeout | undefined;
  #dispatching = false;
  #stopping = false;

  private constructor(options: PoolOptions, handlers: JobHandlers<J>) {
    this.#options = options;
    this.#handlers = {
      ...handlers,
      onRunning: (job) => {
        handlers.onRunning?.(job);
        const reason = this.#killed.size === 0 ? undefined : this.#killed.get(job);
        if (reason !== undefined) this.#where.get(job)?.executor.kill(reason);
      },
    };
  }

  /**
   * Makes `workRoot` if it is missing and removes what dead workers left in it.
   * @throws WorkRootError where others could write to it
   */
  static async open<J extends Job>(options: PoolOptions, handlers: JobHandlers<J>): Promise<ExecutorPool<J>> {
    makeWorkRoot(options.workRoot);
    await removeStaleFolders(options.workRoot);
    return new ExecutorPool(options, handlers);
  }

  /** Jobs that run or wait. */
  get load(): number {
    return this.#where.size + this.#waiting.size;
  }

  /** Users whose executors are up, one entry an executor. */
  get users(): string[] {
    return [...this.#slots].map((slot) => slot.user);
  }

  /** Whether a tag was added. */
  knows(tagId: string): boolean {
    return this.#tags.has(tagId);
  }

  addTag(setup: TagSetup): void {
    this.#tags.set(setup.tagId, setup);
  }

  /** Forgets a tag's key and code, here and in the executors. Its jobs must have ended. */
  dropTag(tagId: string): void {
    const setup = this.#tags.get(tagId);
    if (setup === undefined) return;
    this.#tags.delete(tagId);
    this.#paces.delete(tagId);
    const shared = [...this.#tags.values()].some(({ codeId, user }) => codeId === setup.codeId && user === setup.user);
    for (const { executor } of this.#slots) executor.forgetTag(tagId, shared ? undefined : setup.codeId);
  }

  /** Memory of limits that running jobs have, in bytes. */
  get reservedBytes(): number {
    return [...this.#slots].reduce((sum, { executor, memoryBytes }) => sum + (executor.load > 0 ? memoryBytes : 0), 0);
  }

  /** Starts executors for a user in slots that are free, so that a first call need not wait for one. */
  async prewarm(user: string, count = this.#options.slots, memoryBytes = 0): Promise<void> {
    await this.#preparePackages(user);
    const have = [...this.#slots].filter((slot) => slot.user === user && slot.memoryBytes === memoryBytes).length;
    for (let i = have; i < count && !this.#stopping && this.#lacks(memoryBytes) === undefined; i++)
      this.#startSlot(user, memoryBytes);
  }

  /**
   * Runs a job of a tag that was added. A job that comes back unstarted, or a chunk that comes back half done, is
   * run on, so its end is `done`, `refused` or `crashed`; `returned` only after `stop()` or `kill()`, and with
   * `error` where reading its `parts` failed.
   * @throws ExecutorStartError where executors do not come up on this machine
   */
  run(job: J): Promise<JobEnd> {
    const setup = this.#tags.get(job.tagId);
    if (setup === undefined) return Promise.reject(new Error(`tag ${job.tagId} was not added to the pool`));
    if (this.#prepared.has(setup.user)) return this.#enter(job, setup);
    return this.#preparePackages(setup.user).then(() => this.#enter(job, setup));
  }

  #enter(job: J, setup: TagSetup): Promise<JobEnd> {
    return new Promise((resolve, reject) => {
      if (this.#stopping) return resolve({ state: "returned", outcomes: [], reason: "the worker stops" });
      this.#waiting.push({ job, setup, outcomes: [], vain: 0, resolve, reject });
      this.#dispatchSoon();
    });
  }

  /**
   * Ends a job now: a waiting one ends `returned`, a running one `crashed` with cause `killed` and this reason
   * (its executor is replaced, jobs behind it run elsewhere).
   */
  kill(job: J, reason: string): void {
    const waiting = this.#waiting.remove(job);
    waiting?.resolve({ state: "returned", outcomes: waiting.outcomes, reason });
    const executor = this.#where.get(job)?.executor;
    if (executor === undefined) return;
    this.#killed.set(job, reason);
    if (executor.running === job) executor.kill(reason);
    else void executor.withdraw();
  }

  /** Hands back what has not been started, ends all executors (SIGTERM, SIGKILL after `graceMs`). */
  async stop(reason = "the worker stops", graceMs?: number): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#stuckTimer);
    this.#watches.close();
    for (const { outcomes, resolve } of this.#waiting.clear()) resolve({ state: "returned", outcomes, reason });
    await Promise.all([...this.#slots].map((slot) => slot.executor.stop(reason, graceMs)));
    await Promise.all(this.#ending);
  }

  /** The folder must be there when an executor starts: it is shown to it then. Jobs keep their order meanwhile. */
  #preparePackages(user: string): Promise<unknown> {
    let preparing = this.#preparing.get(user);
    if (preparing === undefined) {
      const root = this.#options.packagesRootOf?.(user);
      const made = root === undefined ? Promise.resolve() : mkdir(root, { recursive: true, mode: 0o700 });
      preparing = made.then(() => this.#prepared.add(user));
      preparing.catch(() => this.#preparing.delete(user));
      this.#preparing.set(user, preparing);
    }
    return preparing;
  }

  /** Tiny jobs come and end many at a time: all that did so in this turn are looked at together. */
  #dispatchSoon(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    queueMicrotask(() => {
      this.#dispatching = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    if (this.#stopping) return;
    for (const slot of this.#slots) this.#notePace(slot);
    this.#waiting.offer((entry) => {
      const slot = this.#slotFor(entry);
      if (slot !== undefined) this.#assign(slot, entry);
      return slot !== undefined;
    });
  }

  #slotFor({ job, setup: { user }, vain }: Waiting<J>): Slot<J> | undefined {
    const { memoryBytes = 0 } = job;
    let least: Slot<J> | undefined;
    for (const slot of this.#slots) {
      if (slot.user !== user || slot.memoryBytes !== memoryBytes || !slot.executor.accepting) continue;
      if (least === undefined || slot.executor.load < least.executor.load) least = slot;
    }
    if (least?.executor.load === 0) return least;
    if (this.#makeRoom(memoryBytes)) return this.#startSlot(user, memoryBytes);
    const depth = job.alone === true || vain > 0 ? 1 : (this.#paces.get(job.tagId)?.depth ?? 1);
    if (least === undefined || least.executor.load >= depth) return undefined;
    return least.executor.runningMs < STUCK_MS && least.executor.running?.alone !== true ? least : undefined;
  }

  /** What another executor lacks, those in `but` left out. */
  #lacks(memoryBytes: number, but?: ReadonlySet<Slot<J>>): "slot" | "memory" | undefined {
    if (this.#slots.size - (but?.size ?? 0) >= this.#options.slots) return "slot";
    let taken = 0;
    for (const slot of this.#slots) if (but?.has(slot) !== true) taken += slot.memoryBytes;
    return memoryBytes > 0 && taken + memoryBytes > (this.#options.memoryBytes ?? Number.POSITIVE_INFINITY)
      ? "memory"
      : undefined;
  }

  /** Ends idle executors, the one idle longest first, until another finds its place; none where that is not enough. */
  #makeRoom(memoryBytes: number): boolean {
    if (this.#lacks(memoryBytes) === undefined) return true;
    const idle = [...this.#slots].filter(({ executor }) => executor.load === 0 && executor.accepting);
    if (idle.length === 0) return false;
    idle.sort((a, b) => a.idleSince - b.idleSince);
    const ending = new Set<Slot<J>>();
    for (let lack = this.#lacks(memoryBytes); lack !== undefined; lack = this.#lacks(memoryBytes, ending)) {
      const helps = idle.find((slot) => !ending.has(slot) && (lack === "slot" || slot.memoryBytes > 0));
      if (helps === undefined) return false;
      ending.add(helps);
    }
    for (const slot of ending) this.#endSlot(slot, "other calls need its place");
    return true;
  }

  #startSlot(user: string, memoryBytes: number): Slot<J> {
    const { packagesRootOf, slots: _slots, memoryGroups, ...options } = this.#options;
    const packagesRoot = packagesRootOf?.(user);
    const memoryGroup = memoryBytes === 0 ? undefined : memoryGroups?.make(memoryBytes);
    const executor = Executor.start<J>(
      { ...options, memoryBytes, memoryGroup, ...(packagesRoot !== undefined && { packagesRoot }) },
      this.#handlers,
    );
    const slot = new Slot(user, memoryBytes, executor);
    this.#slots.add(slot);
    this.#watches.add(slot);
    this.#track(executor.ended.then((cause) => this.#slotEnded(slot, cause)));
    return slot;
  }

  #endSlot(slot: Slot<J>, reason: string): void {
    this.#slots.delete(slot);
    this.#track(slot.executor.stop(reason));
  }

  #track(work: Promise<unknown>): void {
    this.#ending.add(work);
    void work.finally(() => this.#ending.delete(work));
  }

  #slotEnded(slot: Slot<J>, cause: EndCause): void {
    this.#slots.delete(slot);
    this.#watches.remove(slot);
    this.#startFailures = cause.kind === "start" ? this.#startFailures + 1 : 0;
    if (this.#startFailures >= MAX_START_FAILURES) {
      const error = new ExecutorStartError(`${cause.message} (${this.#startFailures} times in a row)`);
      for (const { reject } of this.#waiting.clear()) reject(error);
    }
    this.#dispatch();
  }

  #assign(slot: Slot<J>, entry: Waiting<J>): void {
    const { job, setup, outcomes } = entry;
    slot.used = true;
    if (slot.executor.load === 0) slot.runningSinceMs = performance.now();
    slot.executor.addTag(setup);
    this.#where.set(job, slot);
    const from = outcomes.length > 0 ? outcomes.at(-1)!.index + 1 : undefined;
    // The same object wherever possible: handlers know jobs by identity.
    if (from !== undefined) job.from = from;
    void slot.executor.run(job).then((end) => this.#jobEnded(slot, entry, end));
    this.#watchStuck();
    this.#watches.rouse(slot.memoryBytes > 0);
  }

  #jobEnded(slot: Slot<J>, entry: Waiting<J>, end: JobEnd): void {
    this.#where.delete(entry.job);
    const killed = this.#killed.delete(entry.job);
    if (end.state === "done") this.#startFailures = 0;
    if (end.state !== "returned") slot.ran.push(entry.job.tagId);
    slot.idleSince = performance.now();
    if (slot.use.isFull && slot.executor.load === 0) this.#endSlot(slot, "it holds the memory of earlier calls");
    const outcomes = entry.outcomes.length === 0 ? end.outcomes : [...entry.outcomes, ...end.outcomes];
    if (end.state === "returned" && end.error === undefined && !killed && !this.#stopping) {
      const vain = end.outcomes.length > 0 ? 0 : entry.vain + (end.begun === true ? 1 : 0);
      if (vain < MAX_VAIN) this.#waiting.unshift({ ...entry, outcomes, vain });
      else entry.resolve(givenBack(entry.job, outcomes, vain));
    } else {
      entry.resolve(outcomes === end.outcomes ? end : { ...end, outcomes });
    }
    this.#dispatchSoon();
  }

  /** Tiny jobs end together, since their outcomes travel together: each has taken its share of the time. */
  #notePace(slot: Slot<J>): void {
    const { ran, runningSinceMs } = slot;
    if (ran.length === 0) return;
    const nowMs = performance.now();
    for (const tagId of ran) {
      if (!this.#tags.has(tagId)) continue;
      let pace = this.#paces.get(tagId);
      if (pace === undefined) {
        pace = new Pace();
        this.#paces.set(tagId, pace);
      }
      pace.note((nowMs - runningSinceMs) / ran.length);
    }
    slot.ran = [];
    slot.runningSinceMs = nowMs;
  }

  /** While jobs are handed over, looks now and then whether one holds up others. */
  #watchStuck(): void {
    this.#stuckTimer ??= setInterval(() => {
      if (this.#where.size === 0) {
        clearInterval(this.#stuckTimer);
        this.#stuckTimer = undefined;
      }
      for (const { executor } of this.#slots) {
        if (executor.load > 1 && executor.runningMs > STUCK_MS) void executor.withdraw();
      }
    }, STUCK_MS).unref();
  }
}
