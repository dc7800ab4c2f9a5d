import { readFileSync } from "node:fs";

/** Megabytes (10^6) of memory that a process holds now; 0 where it cannot be known. */
export function residentMb(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return match === null ? 0 : (Number(match[1]) * 1024) / 1e6;
  } catch {
    return 0;
  }
}
