/** Keeping secrets that are in memory out of core dumps. */
import { writeFileSync } from "node:fs";

let done = false;

/**
 * From now on a core dump of this process, and of those it starts, holds none of its memory: no mapping is chosen to be
 * dumped (core(5), coredump_filter). Linux only; elsewhere, and where /proc is not to be written, nothing changes.
 */
export function keepOutOfCoreDumps(): void {
  if (done) return;
  done = true;
  try {
    writeFileSync("/proc/self/coredump_filter", "0");
  } catch {
    // A crash is rare, and a core dump then is the system's choice: `ulimit -c 0` is the way, see docs/security.md.
  }
}
