/** Processes that a process has started, wherever they are: also those that left its group (`setsid`). For use without bubblewrap. */
import { readFileSync } from "node:fs";
import { readProcesses } from "../limits/processes.ts";
import { markOf, newMark } from "./mark.ts";

/** Names in a process' environment whose it is; children inherit it, unless they are given another. */
export const MARK_VARIABLE = "HUMQ_PROCESS";

/** The mark as the environment has it: the number that limits carry, and what makes it readable. */
export function strayMark(folder: string): { text: string; number: number } {
  const number = newMark();
  return { text: `${number}:${folder}`, number };
}

function carries(pid: number, mark: string): boolean {
  if (markOf(pid) === Number.parseInt(mark, 10)) return true;
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${MARK_VARIABLE}=${mark}`);
  } catch {
    // It has ended, or is another account's.
    return false;
  }
}

/** What carries the mark, in its limits or its environment, or descends from a process that does. */
function straysOf(mark: string): Set<number> {
  const processes = readProcesses();
  const found = new Set(processes.filter(({ pid }) => carries(pid, mark)).map(({ pid }) => pid));
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  for (const { pid, ended } of processes) if (ended) found.delete(pid);
  // Whoever asks may be one of them.
  found.delete(process.pid);
  return found;
}

function signalAll(pids: Iterable<number>, name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended, or is another account's.
    }
  }
}

/** While they are looked for they may start others. */
const SWEEPS = 20;

/** Ends them by SIGKILL. Does nothing where there is no /proc to find them in. */
export function endStrays(mark: string): void {
  if (process.platform !== "linux") return;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const strays = straysOf(mark);
    if (strays.size === 0) return;
    // Stopped first: what is stopped starts nothing while the others are ended.
    signalAll(strays, "SIGSTOP");
    signalAll(strays, "SIGKILL");
  }
}
