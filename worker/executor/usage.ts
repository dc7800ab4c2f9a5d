/** One executor as those see it who watch what it takes. */
import type { Use, Watched } from "../limits/use-watch.ts";
import type { CallLimits } from "./call-limits.ts";
import type { Launched } from "./launch.ts";

/** What runs in it. */
export interface Calls {
  /** For how long its job has been running, in milliseconds; 0 where none does. */
  readonly runningMs: number;
  /** How many jobs it has begun. */
  readonly begun: number;
}

export class Usage implements Watched {
  readonly leader: number | undefined;
  readonly mark: number | undefined;
  /** Its folder on this machine. */
  readonly folder: string;
  /** How many processes it is while nothing else runs in it. */
  readonly ownProcesses: number;
  readonly #limits: CallLimits;
  readonly #calls: Calls;
  #heldBytes = 0;

  constructor({ child, mark, workDir, ownProcesses }: Launched, limits: CallLimits, calls: Calls) {
    this.leader = child.pid;
    this.mark = mark?.number;
    this.folder = workDir;
    this.ownProcesses = ownProcesses;
    this.#limits = limits;
    this.#calls = calls;
  }

  get limitBytes(): number {
    return this.#limits.memoryBytes;
  }

  get diskBytes(): number {
    return this.#limits.diskBytes;
  }

  get runningMs(): number {
    return this.#calls.runningMs;
  }

  get begun(): number {
    return this.#calls.begun;
  }

  /** Whether it holds so much from its calls that another should have a new one. */
  get isFull(): boolean {
    return this.limitBytes > 0 && this.#heldBytes > this.limitBytes / 2;
  }

  /** A look found that its processes hold so much. */
  onUse(use: Use): void {
    this.#heldBytes = use.bytes;
    if (this.runningMs > 0) this.#limits.use(use);
  }

  /** A look found that its files take so much. */
  onFiles(bytes: number, unseen: string | undefined): void {
    this.#limits.take({ what: "disk", bytes, ...(unseen !== undefined && { unseen }) });
  }
}
