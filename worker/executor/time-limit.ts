/** Ends the executor of a call that runs longer than it may: SIGTERM to all it started, SIGKILL after a while. */
import { formatDuration } from "../../core/duration.ts";
import type { ProcessGroup } from "./process-group.ts";

/** What a call may still do after SIGTERM: remove its files, say something. */
export const LIMIT_GRACE_MS = 5_000;
/** `setTimeout` takes no longer times; a longer limit is waited for in steps. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A call that ran longer than it may. */
export interface Overrun {
  job: number;
  index: number;
  limitMs: number;
  /** When SIGTERM was sent; for how long it ran in all is known when the process has ended. */
  ranMs: number;
  /** Whether it ended only by SIGKILL. */
  forced: boolean;
}

export function overrunMessage({ limitMs, ranMs, forced }: Overrun): string {
  const how = forced ? ` (it did not end by SIGTERM within ${formatDuration(LIMIT_GRACE_MS)})` : "";
  return `over its time limit of ${formatDuration(limitMs)}: ended after ${formatDuration(ranMs)}${how}`;
}

/** Watches the call that runs in one executor. */
export class TimeLimit {
  readonly #group: ProcessGroup;
  readonly #onOverrun: () => void;
  #call: { job: number; index: number; limitMs: number; startedMs: number } | undefined;
  #overrun: Overrun | undefined;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(group: ProcessGroup, onOverrun: () => void) {
    this.#group = group;
    this.#onOverrun = onOverrun;
  }

  /** The call that ran too long, if one did. */
  get overrun(): Overrun | undefined {
    return this.#overrun;
  }

  /** A call begins. @param limitMs 0 for none */
  begin(job: number, index: number, limitMs: number): void {
    if (this.#overrun !== undefined) return;
    // Code that says so again gets no more time by it.
    if (this.#call?.job === job && this.#call.index === index) return;
    clearTimeout(this.#timer);
    if (limitMs <= 0) return;
    this.#call = { job, index, limitMs, startedMs: performance.now() };
    this.#wait();
  }

  /** A call has ended in time. */
  end(job: number, index: number): void {
    if (this.#overrun !== undefined || this.#call?.job !== job || this.#call.index !== index) return;
    clearTimeout(this.#timer);
    this.#call = undefined;
  }

  isOver(job: number, index: number): boolean {
    return this.#overrun?.job === job && this.#overrun.index === index;
  }

  /** The executor has ended. */
  cancel(): void {
    clearTimeout(this.#timer);
    if (this.#overrun !== undefined) this.#overrun.ranMs = performance.now() - this.#startedMs;
  }

  #wait(): void {
    const call = this.#call;
    if (call === undefined) return;
    const leftMs = call.startedMs + call.limitMs - performance.now();
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#wait(), Math.min(Math.ceil(leftMs), LONGEST_TIMER_MS));
      return;
    }
    const { job, index, limitMs, startedMs } = call;
    this.#startedMs = startedMs;
    this.#overrun = { job, index, limitMs, ranMs: performance.now() - startedMs, forced: false };
    this.#onOverrun();
    this.#group.terminate();
    this.#timer = setTimeout(() => {
      if (this.#overrun !== undefined) this.#overrun.forced = true;
      this.#group.kill();
    }, LIMIT_GRACE_MS);
  }
}
