/** When a worker leaves by itself: nothing to do, enough calls taken, its time over. */
import { formatDuration } from "../../core/duration.ts";
import { UsageError } from "../../core/errors.ts";

export interface LeaveOptions {
  /** Leave after so many milliseconds without a call in hand. Default: never. */
  idleTimeoutMs?: number;
  /** Leave when so many calls were taken; a chunk is taken whole. Default: no limit. */
  maxCalls?: number;
  /**
   * Leave within so many milliseconds, running calls handed back; calls whose `timeRequest` (else `timeLimit`) is longer
   * than what is left are not taken. Default: no limit.
   */
  timeLimitMs?: number;
}

/** Reserved at the end for running calls to end and for handing back, in milliseconds; at most half of the time. */
const LAST_MS = 7_000;
const LOOK_MS = 1_000;
/** `setTimeout` takes no longer times. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @throws UsageError where a limit would end the worker before its first call */
export function checkLeaveOptions(options: LeaveOptions): void {
  for (const name of ["idleTimeoutMs", "maxCalls", "timeLimitMs"] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isFinite(value) && value > 0)) {
      throw new UsageError(`worker option ${name}: expected more than 0, got ${value}; leave it out for no limit`);
    }
  }
}

export class Leave {
  readonly #options: LeaveOptions;
  readonly #idle: () => boolean;
  readonly #leave: (reason: string) => void;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #leavesAtMs: number;
  #busyMs = performance.now();
  #callsLeft: number;

  /**
   * @param idle whether the worker has nothing in hand
   * @param leave asked once or more to stop the worker, with the reason
   */
  constructor(options: LeaveOptions, idle: () => boolean, leave: (reason: string) => void) {
    this.#options = options;
    this.#idle = idle;
    this.#leave = leave;
    const { idleTimeoutMs, timeLimitMs } = options;
    this.#callsLeft = options.maxCalls ?? Number.POSITIVE_INFINITY;
    const leaveInMs =
      timeLimitMs === undefined ? Number.POSITIVE_INFINITY : timeLimitMs - Math.min(LAST_MS, timeLimitMs / 2);
    this.#leavesAtMs = performance.now() + leaveInMs;
    if (leaveInMs <= LONGEST_TIMER_MS) this.#timers.push(setTimeout(() => leave("its time is over"), leaveInMs));
    if (idleTimeoutMs !== undefined) {
      this.#timers.push(setInterval(() => this.#lookIdle(idleTimeoutMs), Math.min(LOOK_MS, idleTimeoutMs / 2)));
    }
  }

  /** When it leaves because its time is over, in milliseconds since 1970; null where nothing is set. */
  get leavesMs(): number | null {
    return Number.isFinite(this.#leavesAtMs) ? Math.round(performance.timeOrigin + this.#leavesAtMs) : null;
  }

  /** Whether calls that ask for so much time (0: any) are still taken. */
  takes(timeMs: number): boolean {
    const leftMs = this.#leavesAtMs - performance.now();
    return this.#callsLeft > 0 && leftMs > 0 && timeMs <= leftMs;
  }

  /** How many messages of so many calls may still be taken; at least 1 where {@link takes} is true. */
  room(calls: number): number {
    return Math.max(1, Math.floor(this.#callsLeft / calls));
  }

  /** A message of up to so many calls was taken. */
  took(calls: number): void {
    this.#callsLeft -= calls;
    this.#busyMs = performance.now();
  }

  /** A message has left the worker. */
  ended(): void {
    this.#busyMs = performance.now();
    const { maxCalls } = this.#options;
    if (this.#callsLeft <= 0 && this.#idle()) this.#leave(`it has taken ${maxCalls} calls`);
  }

  #lookIdle(idleTimeoutMs: number): void {
    if (!this.#idle()) this.#busyMs = performance.now();
    else if (performance.now() - this.#busyMs >= idleTimeoutMs) {
      this.#leave(`nothing to do for ${formatDuration(idleTimeoutMs)}`);
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
