/** Ends the executor of a call that takes more memory than it may: SIGKILL to all it started, since waiting makes it worse. */
import { formatDuration } from "../../core/duration.ts";
import { formatMemory } from "../../core/memory.ts";
import type { Use } from "../limits/use-watch.ts";

/** A rise of less than this part is not worth telling. */
const WORTH_TELLING = 0.01;

/** A call that took more than it may. */
export interface Overuse {
  limitBytes: number;
  /** What it held when it was seen; 0 where the kernel saw it. */
  heldBytes: number;
  /** How many processes held it. */
  processes: number;
  ranMs: number;
}

/** A call as worker and executor name it. */
interface NamedCall {
  job: number;
  index: number;
}

/** What V8 may take of a limit for objects and strings: the process itself takes some 64 MB, and buffers need room. */
export function heapLimitMegabytes(limitBytes: number): number {
  return Math.max(32, Math.floor(((limitBytes - 64e6) * 0.9) / 2 ** 20));
}

export function overuseMessage({ limitBytes, heldBytes, processes, ranMs }: Overuse): string {
  const held = `it held ${formatMemory(heldBytes, limitBytes)}${processes > 1 ? ` in ${processes} processes` : ""}`;
  const what = heldBytes > 0 ? held : "it asked the kernel for more";
  return `over its memory limit of ${formatMemory(limitBytes)}: ${what}, and was ended after ${formatDuration(ranMs)}`;
}

/** Keeps count of the memory of the call that runs in one executor. */
export class MemoryLimit {
  readonly limitBytes: number;
  readonly #kill: () => void;
  readonly #tell: (bytes: number) => void;
  #call: NamedCall | undefined;
  #sinceMs = performance.now();
  #peakBytes = 0;
  #toldBytes = 0;
  #overuse: Overuse | undefined;

  /**
   * @param limitBytes 0 for none
   * @param kill ends the executor and all that it started
   * @param tell hears when the call holds more than it ever did
   */
  constructor(limitBytes: number, kill: () => void, tell: (bytes: number) => void) {
    this.limitBytes = limitBytes;
    this.#kill = kill;
    this.#tell = tell;
  }

  /** The call that took too much, if one did. */
  get overuse(): Overuse | undefined {
    return this.#overuse;
  }

  /** The most that the call was seen to hold; 0 where nobody looked. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** For how long the call has been running, in milliseconds. */
  get ranMs(): number {
    return performance.now() - this.#sinceMs;
  }

  isOver(job: number, index: number): boolean {
    return this.#overuse !== undefined && this.#call?.job === job && this.#call.index === index;
  }

  /** Another call runs from now on. @param call where it is known which */
  begin(call: NamedCall | undefined): void {
    if (this.#overuse !== undefined) return;
    this.#call = call;
    this.#sinceMs = performance.now();
    this.#peakBytes = 0;
    this.#toldBytes = 0;
  }

  use({ bytes, pids }: Use): void {
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    if (this.#overuse !== undefined) return;
    if (this.limitBytes > 0 && bytes > this.limitBytes) {
      this.#over(bytes, pids.length);
      this.#kill();
    } else if (bytes > this.#toldBytes * (1 + WORTH_TELLING)) {
      this.#toldBytes = bytes;
      this.#tell(bytes);
    }
  }

  /** The kernel has ended it for taking too much. */
  exceeded(): void {
    if (this.#overuse !== undefined) return;
    this.#peakBytes = Math.max(this.#peakBytes, this.limitBytes);
    this.#over(0, 0);
  }

  #over(heldBytes: number, processes: number): void {
    const { limitBytes, ranMs } = this;
    this.#overuse = { limitBytes, heldBytes, processes, ranMs };
  }
}
