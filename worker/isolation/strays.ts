/** Processes that a process has started, wherever they are: also those that left its group (`setsid`). For use without bubblewrap. */
import { readFileSync } from "node:fs";
import { readProcesses } from "../limits/processes.ts";

/** Names in a process' environment whose it is; children inherit it. */
export const MARK_VARIABLE = "HUMQ_PROCESS";

function carries(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${MARK_VARIABLE}=${mark}`);
  } catch {
    // It has ended, or is another account's.
    return false;
  }
}

/**
 * What carries the mark or descends from a process that does. A process that was cut off from both (by a parent that
 * ended and an environment of its own) is not found.
 */
function straysOf(mark: string): Set<number> {
  const processes = readProcesses();
  const found = new Set(processes.filter(({ pid }) => carries(pid, mark)).map(({ pid }) => pid));
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { pid, parent } of processes) if (found.has(parent)) found.add(pid);
  }
  // Whoever asks may be one of them.
  found.delete(process.pid);
  return found;
}

/** Ends them by SIGKILL. Does nothing where there is no /proc to find them in. */
export function endStrays(mark: string): void {
  if (process.platform !== "linux") return;
  for (const stray of straysOf(mark)) {
    try {
      process.kill(stray, "SIGKILL");
    } catch {
      // It has ended, or is another account's.
    }
  }
}
