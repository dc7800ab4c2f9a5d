/** One executor as those see it who watch what it takes. */
import type { Use, Watched } from "../limits/use-watch.ts";
import type { CallLimits } from "./call-limits.ts";
import type { Launched } from "./launch.ts";

export class Usage implements Watched {
  readonly leader: number | undefined;
  readonly mark: number | undefined;
  /** Its folder on this machine. */
  readonly folder: string;
  /** How many processes it is while nothing else runs in it. */
  readonly ownProcesses: number;
  readonly #limits: CallLimits;
  readonly #runningMs: () => number;
  #heldBytes = 0;

  /** @param runningMs how long its call has been running, 0 where none does */
  constructor({ child, mark, workDir, ownProcesses }: Launched, limits: CallLimits, runningMs: () => number) {
    this.leader = child.pid;
    this.mark = mark?.number;
    this.folder = workDir;
    this.ownProcesses = ownProcesses;
    this.#limits = limits;
    this.#runningMs = runningMs;
  }

  get limitBytes(): number {
    return this.#limits.memoryBytes;
  }

  get diskBytes(): number {
    return this.#limits.diskBytes;
  }

  get runningMs(): number {
    return this.#runningMs();
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
    if (this.runningMs > 0) this.#limits.take({ what: "disk", bytes, ...(unseen !== undefined && { unseen }) });
  }
}
