/** What processes there are and how much memory each holds, from /proc (proc_pid_stat(5), Linux). */
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessFacts {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** It has ended, and its parent has not asked how. */
  ended: boolean;
  /** When it began, in the kernel's ticks: tells it from a later process with the same number. */
  startTicks: string;
  threads: number;
  /** Processor time that it has taken, in the kernel's ticks (a hundredth of a second). */
  ticks: number;
  /** Resident memory, shared pages included. */
  rssBytes: number;
}

const AT_PAGESZ = 6n;
const DEFAULT_PAGE_BYTES = 4096;

/** The auxiliary vector has it (getauxval(3)); Node has no call for it, and arm64 and ppc64 have pages of up to 64 KiB. */
function readPageBytes(): number {
  try {
    const vector = readFileSync("/proc/self/auxv");
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
    }
  } catch {
    // No /proc: nothing is looked up either.
  }
  return DEFAULT_PAGE_BYTES;
}

const PAGE_BYTES = readPageBytes();

/** @returns undefined where there is no such process (any more) */
export function readProcess(pid: number): ProcessFacts | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may itself hold spaces and parentheses. Fields behind it count from the third.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    ended: fields[0] === "Z" || fields[0] === "X",
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: fields[19]!,
    threads: Number(fields[17]),
    ticks: Number(fields[11]) + Number(fields[12]),
    rssBytes: Number(fields[21]) * PAGE_BYTES,
  };
}

/** All processes that this one can see; none where there is no /proc. */
export function readProcesses(): ProcessFacts[] {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  const found: ProcessFacts[] = [];
  for (const name of names) {
    const first = name.charCodeAt(0);
    if (first < 0x31 || first > 0x39) continue;
    const facts = readProcess(Number(name));
    if (facts !== undefined) found.push(facts);
  }
  return found;
}

/**
 * A process and all that it started: its descendants, and whoever is left in its group or session after its parent ended.
 * A program that leaves both and is orphaned is seen inside bubblewrap, where orphans fall to the sandbox's first process.
 * @param others further ones that are known to be its own
 */
export function treeOf(
  processes: readonly ProcessFacts[],
  leader: number,
  others: readonly ProcessFacts[] = [],
): ProcessFacts[] {
  const children = new Map<number, ProcessFacts[]>();
  const tree = new Map<number, ProcessFacts>(others.map((facts) => [facts.pid, facts]));
  for (const facts of processes) {
    const siblings = children.get(facts.parent);
    if (siblings === undefined) children.set(facts.parent, [facts]);
    else siblings.push(facts);
    if (facts.pid === leader || facts.group === leader || facts.session === leader) tree.set(facts.pid, facts);
  }
  // A Map yields what is added while it is walked through.
  for (const pid of tree.keys()) for (const child of children.get(pid) ?? []) tree.set(child.pid, child);
  return [...tree.values()];
}

/**
 * Resident memory of a process, a page that several share divided among them. The kernel walks its page tables for it: a
 * millisecond for each 100 MB or so.
 * @returns undefined where it may not be looked at
 */
export function shareOf(pid: number): number | undefined {
  try {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
