/** What the call that runs in one executor may take: time and memory. */
import type { MemoryGroup } from "../limits/cgroup.ts";
import type { MemoryUse } from "../limits/memory-watch.ts";
import { MemoryLimit, type Overuse } from "./memory-limit.ts";
import type { ProcessGroup } from "./process-group.ts";
import { type Overrun, TimeLimit } from "./time-limit.ts";

export interface LimitOptions {
  /** What each call may take, in bytes. Default 0: no limit. */
  memoryBytes?: number;
  /** The kernel's limit on the executor, where there is one. */
  memoryGroup?: MemoryGroup | undefined;
}

/** What is to be said of the last call when the executor has ended. */
export interface CallFacts {
  memoryBytes: number;
  ranMs: number;
  peakMemoryBytes: number;
  overrun: Overrun | undefined;
  overuse: Overuse | undefined;
}

export class CallLimits {
  readonly #time: TimeLimit;
  readonly #memory: MemoryLimit;
  readonly #memoryGroup: MemoryGroup | undefined;

  /**
   * @param onOver the executor is being ended
   * @param tell hears when the call holds more than it ever did
   */
  constructor(group: ProcessGroup, options: LimitOptions, onOver: () => void, tell: (bytes: number) => void) {
    this.#time = new TimeLimit(group, onOver);
    this.#memoryGroup = options.memoryGroup;
    const kill = (pids: readonly number[]) => {
      onOver();
      group.killAll(pids);
    };
    this.#memory = new MemoryLimit(options.memoryBytes ?? 0, kill, tell);
  }

  /** 0 for no limit. */
  get memoryBytes(): number {
    return this.#memory.limitBytes;
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
    return this.#time.isOver(job, index) || this.#memory.isOver(job, index);
  }

  use(use: MemoryUse): void {
    this.#memory.use(use);
  }

  /** The executor has ended, with all that it started. */
  finish(): CallFacts {
    this.#time.cancel();
    const { limitBytes, ranMs, peakBytes } = this.#memory;
    if (this.#memoryGroup?.exceeded === true) this.#memory.exceeded();
    this.#memoryGroup?.remove();
    const { overuse } = this.#memory;
    return { memoryBytes: limitBytes, ranMs, peakMemoryBytes: peakBytes, overrun: this.#time.overrun, overuse };
  }
}
