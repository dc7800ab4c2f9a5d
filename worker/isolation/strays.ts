/** Processes that a process has started, wherever they are: also those that left its group (`setsid`). For use without bubblewrap. */
import { readdirSync, readFileSync } from "node:fs";

/** Names in a process' environment whose it is; children inherit it. */
export const MARK_VARIABLE = "HUMQ_PROCESS";

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It has ended, or is another account's.
    return "";
  }
}

/**
 * What carries the mark or descends from a process that does. A process that was cut off from both (by a parent that
 * ended and an environment of its own) is not found.
 */
function straysOf(mark: string): Set<number> {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const one = Number(name);
    if (!Number.isInteger(one)) continue;
    // The program's name, in parentheses, may hold anything (proc(5)).
    const [, parent] = read(`/proc/${one}/stat`).split(") ").at(-1)!.split(" ");
    parents.set(one, Number(parent));
    if (read(`/proc/${one}/environ`).split("\0").includes(`${MARK_VARIABLE}=${mark}`)) found.add(one);
  }
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const [child, parent] of parents) if (found.has(parent)) found.add(child);
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
