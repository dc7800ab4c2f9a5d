/** What the call that runs in one executor may take: time and memory as its submitter says, the rest as the worker does. */
import type { Allowance } from "../limits/allowance.ts";
import type { MemoryGroup } from "../limits/cgroup.ts";
import type { Use } from "../limits/use-watch.ts";
import { type Excess, ExcessWatch, type Taken } from "./excess.ts";
import { MemoryLimit, type Overuse } from "./memory-limit.ts";
import type { ProcessGroup } from "./process-group.ts";
import { type Overrun, TimeLimit } from "./time-limit.ts";

export interface LimitOptions {
  /** What each call may take, in bytes. Default 0: no limit. */
  memoryBytes?: number;
  /** The kernel's limit on the executor, where there is one. */
  memoryGroup?: MemoryGroup | undefined;
  /** What each call may take besides. Default: no limit. */
  allowance?: Allowance;
}

/** What an executor is to its limits. */
export interface Limited {
  /** The call that runs, as far as messages have been read. */
  running(): { job: number; index: number } | undefined;
  /** It is being ended: it gets no more jobs. */
  onOver(): void;
  /** The call holds more memory than it ever did. */
  tellMemory(bytes: number): void;
}

/** What is to be said of the last call when the executor has ended. */
export interface CallFacts {
  memoryBytes: number;
  ranMs: number;
  peakMemoryBytes: number;
  overrun: Overrun | undefined;
  overuse: Overuse | undefined;
  excess: Excess | undefined;
}

export class CallLimits {
  readonly #time: TimeLimit;
  readonly #memory: MemoryLimit;
  readonly #excess: ExcessWatch;
  readonly #diskBytes: number;
  readonly #memoryGroup: MemoryGroup | undefined;
  /** What it was last seen to consist of. */
  #pids: readonly number[] = [];

  constructor(group: ProcessGroup, options: LimitOptions, executor: Limited) {
    this.#time = new TimeLimit(group, executor.onOver);
    this.#memoryGroup = options.memoryGroup;
    this.#diskBytes = options.allowance?.diskBytes ?? 0;
    const kill = () => {
      executor.onOver();
      group.killAll(this.#pids);
    };
    this.#memory = new MemoryLimit(options.memoryBytes ?? 0, kill, executor.tellMemory);
    const running = () => {
      const call = executor.running();
      return call === undefined ? undefined : { ...call, ranMs: this.#memory.ranMs };
    };
    this.#excess = new ExcessWatch(options.allowance, running, kill);
  }

  /** 0 for no limit. */
  get memoryBytes(): number {
    return this.#memory.limitBytes;
  }

  /** What the files of a call may take; 0 for no limit. */
  get diskBytes(): number {
    return this.#diskBytes;
  }

  /** Another job runs, or the next call of one. */
  next(): void {
    this.#memory.begin(undefined);
  }

  /** A call begins. @param timeLimitMs 0 for none */
  begin(job: number, index: number, timeLimitMs: number): void {
    this.#time.begin(job, index, timeLimitMs);
    this.#memory.begin({ job, index });
  }

  /** A call has ended in time. */
  end(job: number, index: number): void {
    this.#time.end(job, index);
    this.next();
  }

  /** Whether it ended too late, or after it took too much. */
  isOver(job: number, index: number): boolean {
    return this.#time.isOver(job, index) || this.#memory.isOver(job, index) || this.#excess.isOver(job, index);
  }

  use(use: Use): void {
    this.#pids = use.pids;
    this.#memory.use(use);
    this.take({ what: "processes", count: use.tasks });
  }

  /** Something else that the call was seen to take. */
  take(taken: Taken): void {
    if (this.#memory.overuse === undefined && this.#time.overrun === undefined) this.#excess.note(taken);
  }

  /** The executor has ended, with all that it started. */
  finish(): CallFacts {
    this.#time.cancel();
    const { limitBytes, ranMs, peakBytes } = this.#memory;
    if (this.#memoryGroup?.exceeded === true) this.#memory.exceeded();
    this.#memoryGroup?.remove();
    const { overuse } = this.#memory;
    const { overrun } = this.#time;
    const { excess } = this.#excess;
    return { memoryBytes: limitBytes, ranMs, peakMemoryBytes: peakBytes, overrun, overuse, excess };
  }
}
