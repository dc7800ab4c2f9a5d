/**
 * Looks how much memory and how many processes calls hold, with all that they started.
 *
 * A look at all processes of a machine takes some 20 us for each of them. So calls without a limit on memory are looked at
 * only when they have run for a second, once a second, and sooner where the machine has many more processes than before;
 * of a call with a limit its known processes are looked at often, and all processes of the machine (for new ones) as often as
 * costs little.
 */
import { readFileSync } from "node:fs";
import { markOf } from "../isolation/mark.ts";
import { type ProcessFacts, readProcess, readProcesses, shareOf, treeOf } from "./processes.ts";

/** Between two looks at calls with a limit. A call can take some 100 MB in this time. */
const LIMITED_MS = 50;
/** Between two looks at all processes while a call with a limit runs, */
const ALL_MS = 250;
/** and longer where a look takes longer: at most one part in so many of this process' time. */
const COST_RATIO = 50;
/** but no longer than this: on a machine that calls keep busy a look takes its time just when it is needed. */
const LONGEST_REST_MS = 2_000;
/** Between two looks at calls without a limit, and how long one runs before it is looked at. */
const UNLIMITED_MS = 1_000;

/** Between two looks at how many processes the machine has, while a call runs, */
const SURGE_MS = 100;
/** and how many more make a look at all of them worth its price. */
const SURGE = 128;

/** How old a look may be that several share. */
const SHARED_MS = 100;

/** What a look found. */
export interface Use {
  bytes: number;
  /** Processes and their threads. */
  tasks: number;
  /** The processes that hold it. */
  pids: readonly number[];
}

/** Somebody whose memory is watched: the process of an executor. */
export interface Watched {
  /** Its first process; undefined where there is none. */
  readonly leader: number | undefined;
  /** What else is its carries this, see ../isolation/mark.ts; undefined where nothing leaves the leader's tree. */
  readonly mark: number | undefined;
  /** How much it may hold, in bytes; 0 for no limit. */
  readonly limitBytes: number;
  /** For how long its call has been running, in milliseconds; 0 where none does. */
  readonly runningMs: number;
  onUse(use: Use): void;
}

function sum(processes: readonly ProcessFacts[]): number {
  return processes.reduce((bytes, { rssBytes }) => bytes + rssBytes, 0);
}

/** Pages that processes share count for each of them in the sum: where that decides, they are told apart. */
function useOf(processes: readonly ProcessFacts[], limitBytes: number): Use {
  const pids = processes.map(({ pid }) => pid);
  const tasks = processes.reduce((threads, facts) => threads + facts.threads, 0);
  const most = sum(processes);
  if (limitBytes === 0 || most <= limitBytes || processes.length === 1) return { bytes: most, tasks, pids };
  const bytes = processes.reduce((held, { pid, rssBytes }) => held + (shareOf(pid) ?? rssBytes), 0);
  return { bytes, tasks, pids };
}

/** Processes and threads of the whole machine (proc_loadavg(5)); 0 where that is not known. */
function tasksOfMachine(): number {
  try {
    return Number(/\/(\d+) /.exec(readFileSync("/proc/loadavg", "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** No two processes have the same. */
function nameOf({ pid, startTicks }: ProcessFacts): string {
  return `${pid} ${startTicks}`;
}

export class UseWatch {
  readonly #known = new Map<Watched, ProcessFacts[]>();
  #timer: NodeJS.Timeout | undefined;
  #nextMs = Number.POSITIVE_INFINITY;
  #allMs = Number.NEGATIVE_INFINITY;
  #restMs = ALL_MS;
  #tasksSeen = Number.POSITIVE_INFINITY;
  /** Marks of processes that were looked at; a process keeps its own. */
  #marks = new Map<string, number | undefined>();
  #shared: { processes: readonly ProcessFacts[]; atMs: number } = { processes: [], atMs: Number.NEGATIVE_INFINITY };
  #closed = false;

  add(watched: Watched): void {
    if (this.#closed) return;
    this.#known.set(watched, []);
    this.#lookIn(UNLIMITED_MS);
  }

  remove(watched: Watched): void {
    this.#known.delete(watched);
  }

  /** A call begins. */
  rouse(limited: boolean): void {
    if (!this.#closed) this.#lookIn(limited ? LIMITED_MS : SURGE_MS);
  }

  /** The processes that were found at the last look. */
  processesOf(watched: Watched): readonly ProcessFacts[] {
    return this.#known.get(watched) ?? [];
  }

  /** Looks now, at one that may have nothing to run; several of them share a look. */
  lookAt(watched: Watched): readonly ProcessFacts[] {
    if (performance.now() - this.#shared.atMs > SHARED_MS) {
      const processes = readProcesses();
      this.#noteMarks(processes);
      this.#shared = { processes, atMs: performance.now() };
    }
    return this.#treeOf(this.#shared.processes, watched);
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
    if (running.length > 0 && this.#isSurge()) this.#lookAtAll(running);
    else if (due.length > 0 && (unknown || performance.now() - this.#allMs >= restMs)) this.#lookAtAll(due);
    else for (const watched of limited) this.#lookAtKnown(watched);
    if (this.#known.size === 0 || this.#closed) return;
    this.#lookIn(limited.length > 0 ? LIMITED_MS : running.length > 0 ? SURGE_MS : UNLIMITED_MS);
  }

  #isSurge(): boolean {
    const tasks = tasksOfMachine();
    this.#tasksSeen = Math.min(this.#tasksSeen, tasks);
    return tasks - this.#tasksSeen >= SURGE;
  }

  #lookAtAll(due: readonly Watched[]): void {
    const beganMs = performance.now();
    const processes = readProcesses();
    this.#noteMarks(processes);
    for (const watched of due) {
      const tree = this.#treeOf(processes, watched);
      this.#known.set(watched, tree);
      this.#tell(watched, tree);
    }
    this.#tasksSeen = tasksOfMachine();
    this.#allMs = performance.now();
    this.#restMs = Math.min(LONGEST_REST_MS, Math.max(ALL_MS, (this.#allMs - beganMs) * COST_RATIO));
  }

  #treeOf(processes: readonly ProcessFacts[], { leader, mark }: Watched): ProcessFacts[] {
    if (leader === undefined) return [];
    const marked = mark === undefined ? [] : processes.filter((facts) => this.#marks.get(nameOf(facts)) === mark);
    return treeOf(processes, leader, marked);
  }

  /** Reads the marks of processes that are new, where any of the watched has one. */
  #noteMarks(processes: readonly ProcessFacts[]): void {
    if (![...this.#known.keys()].some(({ mark }) => mark !== undefined)) return;
    const marks = new Map<string, number | undefined>();
    for (const facts of processes) {
      const name = nameOf(facts);
      marks.set(name, this.#marks.has(name) ? this.#marks.get(name) : markOf(facts.pid));
    }
    this.#marks = marks;
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
