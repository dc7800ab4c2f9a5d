/**
 * Looks how much memory calls hold, with all that they started.
 *
 * A look at all processes of a machine takes some 20 us for each of them. So calls without a limit are looked at only
 * when they have run for a second, once a second; of a call with a limit its known processes are looked at often, and all
 * processes of the machine (for new ones) as often as costs little.
 */
import { type ProcessFacts, readProcess, readProcesses, shareOf, treeOf } from "./processes.ts";

/** Between two looks at calls with a limit. A call can take some 100 MB in this time. */
const LIMITED_MS = 50;
/** Between two looks at all processes while a call with a limit runs, */
const ALL_MS = 250;
/** and longer where a look takes longer: at most one part in so many of this process' time. */
const COST_RATIO = 50;
/** Between two looks at calls without a limit, and how long one runs before it is looked at. */
const UNLIMITED_MS = 1_000;

/** What a look found. */
export interface MemoryUse {
  bytes: number;
  /** The processes that hold it. */
  pids: readonly number[];
}

/** Somebody whose memory is watched: the process of an executor. */
export interface Watched {
  /** Its first process; undefined where there is none. */
  readonly leader: number | undefined;
  /** How much it may hold, in bytes; 0 for no limit. */
  readonly limitBytes: number;
  /** For how long its call has been running, in milliseconds; 0 where none does. */
  readonly runningMs: number;
  onUse(use: MemoryUse): void;
}

function sum(processes: readonly ProcessFacts[]): number {
  return processes.reduce((bytes, { rssBytes }) => bytes + rssBytes, 0);
}

/** Pages that processes share count for each of them in the sum: where that decides, they are told apart. */
function useOf(processes: readonly ProcessFacts[], limitBytes: number): MemoryUse {
  const pids = processes.map(({ pid }) => pid);
  const most = sum(processes);
  if (limitBytes === 0 || most <= limitBytes || processes.length === 1) return { bytes: most, pids };
  return { bytes: processes.reduce((bytes, { pid, rssBytes }) => bytes + (shareOf(pid) ?? rssBytes), 0), pids };
}

export class MemoryWatch {
  readonly #known = new Map<Watched, ProcessFacts[]>();
  #timer: NodeJS.Timeout | undefined;
  #nextMs = Number.POSITIVE_INFINITY;
  #allMs = Number.NEGATIVE_INFINITY;
  #restMs = ALL_MS;
  #closed = false;

  add(watched: Watched): void {
    if (this.#closed) return;
    this.#known.set(watched, []);
    this.#lookIn(UNLIMITED_MS);
  }

  remove(watched: Watched): void {
    this.#known.delete(watched);
  }

  /** A call with a limit begins. */
  rouse(): void {
    if (!this.#closed) this.#lookIn(LIMITED_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    const atMs = performance.now() + ms;
    if (atMs >= this.#nextMs) return;
    clearTimeout(this.#timer);
    this.#nextMs = atMs;
    this.#timer = setTimeout(() => this.#look(), ms);
    this.#timer.unref();
  }

  #look(): void {
    this.#nextMs = Number.POSITIVE_INFINITY;
    const running = [...this.#known.keys()].filter(({ leader, runningMs }) => leader !== undefined && runningMs > 0);
    const limited = running.filter(({ limitBytes }) => limitBytes > 0);
    const due = running.filter(({ limitBytes, runningMs }) => limitBytes > 0 || runningMs >= UNLIMITED_MS);
    const restMs = limited.length > 0 ? this.#restMs : Math.max(this.#restMs, UNLIMITED_MS / 2);
    const unknown = limited.some((watched) => this.#known.get(watched)?.length === 0);
    if (due.length > 0 && (unknown || performance.now() - this.#allMs >= restMs)) this.#lookAtAll(due);
    else for (const watched of limited) this.#lookAtKnown(watched);
    if (this.#known.size > 0 && !this.#closed) this.#lookIn(limited.length > 0 ? LIMITED_MS : UNLIMITED_MS);
  }

  #lookAtAll(due: readonly Watched[]): void {
    const beganMs = performance.now();
    const processes = readProcesses();
    for (const watched of due) {
      const tree = treeOf(processes, watched.leader!);
      this.#known.set(watched, tree);
      this.#tell(watched, tree);
    }
    this.#allMs = performance.now();
    this.#restMs = Math.max(ALL_MS, (this.#allMs - beganMs) * COST_RATIO);
  }

  #lookAtKnown(watched: Watched): void {
    const now = (this.#known.get(watched) ?? []).map(({ pid, startTicks }) => {
      const facts = readProcess(pid);
      return facts?.startTicks === startTicks ? facts : undefined;
    });
    this.#tell(
      watched,
      now.filter((facts) => facts !== undefined),
    );
  }

  #tell(watched: Watched, processes: readonly ProcessFacts[]): void {
    if (processes.length > 0) watched.onUse(useOf(processes, watched.limitBytes));
  }
}
