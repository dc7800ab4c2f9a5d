/**
 * Ends executors in which something that a call started goes on after the call: a process that it left behind, or code that
 * keeps the processor busy. While calls of the same user follow each other that is theirs to bear; when an executor has nothing
 * to run, it is nobody's.
 */
import type { ProcessFacts } from "../limits/processes.ts";
import type { Usage } from "./usage.ts";

/** Between two rounds. */
const ROUND_MS = 1_000;
/** An executor is looked at when it has been idle for so long, */
const IDLE_MS = 2_000;
/** again after as long, for what its processor time has become, and then as often as this. */
const LATER_MS = 10_000;
/** Part of a processor that an idle executor may take. */
const BUSY = 0.05;
const TICKS_PER_MS = 0.1;

/** An executor that may be idle. */
export interface Idler {
  readonly use: Usage;
  /** Since when it has had nothing to run, by `performance.now()`; undefined while it has, and before its first call. */
  readonly idleSinceMs: number | undefined;
}

interface Look {
  idleSinceMs: number;
  atMs: number;
  ticks: number;
}

export class Leftovers<I extends Idler> {
  readonly #timer: NodeJS.Timeout;
  readonly #looks = new WeakMap<I, Look>();

  /**
   * @param lookAt the processes of an executor
   * @param end hears what was found, for the log
   */
  constructor(
    idlers: Iterable<I>,
    lookAt: (idler: I) => readonly ProcessFacts[],
    end: (idler: I, reason: string) => void,
  ) {
    const round = () => {
      for (const idler of [...idlers]) {
        const found = this.#isDue(idler) ? this.#look(idler, lookAt(idler)) : undefined;
        if (found !== undefined) end(idler, found);
      }
    };
    this.#timer = setInterval(round, ROUND_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #isDue(idler: I): boolean {
    const { idleSinceMs } = idler;
    const nowMs = performance.now();
    if (idleSinceMs === undefined || nowMs - idleSinceMs < IDLE_MS) return false;
    const last = this.#looks.get(idler);
    if (last === undefined || last.idleSinceMs !== idleSinceMs) return true;
    const waitMs = last.atMs - idleSinceMs < 2 * IDLE_MS ? IDLE_MS : LATER_MS;
    return nowMs - last.atMs >= waitMs;
  }

  #look(idler: I, processes: readonly ProcessFacts[]): string | undefined {
    const alive = processes.filter(({ ended }) => !ended);
    const left = alive.length - idler.use.ownProcesses;
    if (left > 0) return `a call left ${left === 1 ? "a process" : `${left} processes`} behind`;
    const ticks = alive.reduce((sum, facts) => sum + facts.ticks, 0);
    const atMs = performance.now();
    const idleSinceMs = idler.idleSinceMs ?? atMs;
    const last = this.#looks.get(idler);
    this.#looks.set(idler, { idleSinceMs, atMs, ticks });
    if (last === undefined || last.idleSinceMs !== idleSinceMs) return undefined;
    const isBusy = ticks - last.ticks > (atMs - last.atMs) * TICKS_PER_MS * BUSY;
    return isBusy ? "code of a call that has ended kept the processor busy" : undefined;
  }
}
