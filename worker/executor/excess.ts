/** Ends the executor of a call that takes more of the machine than this worker allows. */
import { formatDuration } from "../../core/duration.ts";
import { formatMemory } from "../../core/memory.ts";
import type { Allowance } from "../limits/allowance.ts";

/** What a call was seen to take. */
export type Taken =
  | { what: "processes"; count: number }
  | { what: "disk"; bytes: number; unseen?: string }
  | { what: "output"; bytes: number };

/** A call that took more than it may. */
export interface Excess {
  job: number;
  index: number;
  message: string;
  ranMs: number;
}

/** One sentence without its end; undefined where it is within the limits. */
function excessOf(taken: Taken, allowance: Allowance): string | undefined {
  switch (taken.what) {
    case "processes": {
      const { processes } = allowance;
      if (taken.count <= processes) return undefined;
      return `over this worker's limit of ${processes} processes and threads: it had ${taken.count}`;
    }
    case "disk": {
      const { diskBytes } = allowance;
      const limit = `over this worker's limit of ${formatMemory(diskBytes)} of files`;
      if (taken.unseen !== undefined) return `${limit}: ${taken.unseen}, so they cannot be counted`;
      if (taken.bytes <= diskBytes) return undefined;
      return `${limit}: they took ${formatMemory(taken.bytes, diskBytes)}`;
    }
    case "output": {
      const { outputBytes } = allowance;
      if (taken.bytes <= outputBytes) return undefined;
      return `over this worker's limit of ${formatMemory(outputBytes)} of output: it printed ${formatMemory(taken.bytes, outputBytes)}`;
    }
    default:
      return taken satisfies never;
  }
}

export class ExcessWatch {
  readonly #allowance: Allowance | undefined;
  readonly #running: () => { job: number; index: number; ranMs: number } | undefined;
  readonly #kill: () => void;
  #excess: Excess | undefined;

  /**
   * @param running the call that runs
   * @param kill ends the executor and all that it started
   */
  constructor(
    allowance: Allowance | undefined,
    running: () => { job: number; index: number; ranMs: number } | undefined,
    kill: () => void,
  ) {
    this.#allowance = allowance;
    this.#running = running;
    this.#kill = kill;
  }

  /** The call that took too much, if one did. */
  get excess(): Excess | undefined {
    return this.#excess;
  }

  /** What a call that is over says after it was found out, of itself or of calls behind it, does not count. */
  isOver(job: number, index: number): boolean {
    return this.#excess !== undefined && this.#excess.job === job && index >= this.#excess.index;
  }

  note(taken: Taken): void {
    if (this.#allowance === undefined || this.#excess !== undefined) return;
    const text = excessOf(taken, this.#allowance);
    if (text === undefined) return;
    const running = this.#running();
    // What calls before it have left is nobody's fault who runs, and nobody's to keep.
    if (running === undefined) {
      this.#kill();
      return;
    }
    const { job, index, ranMs } = running;
    this.#excess = { job, index, ranMs, message: `${text}, and was ended after ${formatDuration(ranMs)}` };
    this.#kill();
  }
}
