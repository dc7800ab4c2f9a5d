/** Finds descriptors that the worker has from its own parent and would pass on. */
import { readdirSync, readFileSync } from "node:fs";

const CLOSE_ON_EXEC = 0o2000000;
/** Descriptors above are not looked for. */
const MAX_DESCRIPTOR = 4096;

/**
 * Node marks what it inherits as close-on-exec only up to the first gap above 15, and all else it opens itself. A
 * shell or batch system may have left others, pipes to itself for example, which are none of user code's business.
 * @returns those above `from`; on systems without /proc none
 */
export function strayDescriptors(from: number): number[] {
  let names: string[];
  try {
    names = readdirSync("/proc/self/fd");
  } catch {
    return [];
  }
  return names.map(Number).filter((fd) => fd > from && fd <= MAX_DESCRIPTOR && !closesOnExec(fd));
}

function closesOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"));
    return flags !== null && (Number.parseInt(flags[1]!, 8) & CLOSE_ON_EXEC) !== 0;
  } catch {
    // The one that listed the folder: closed by now.
    return true;
  }
}
