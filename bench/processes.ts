import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile, or this is not Linux.
    return "";
  }
}

/** Fields of /proc/PID/stat after the command, which may hold anything (proc_pid_stat(5), from field 3). */
function statOf(pid: number | string): string[] {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Microseconds of processor time that a process has used, its ended children not counted; 0 where it cannot be known. */
export function cpuOf(pid: number): number {
  const fields = statOf(pid);
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND) * 1e6;
}

/** Megabytes (10^6) of memory that a process has held at most; undefined where it cannot be known. */
export function peakMemoryOf(pid: number): number | undefined {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`));
  return match === null ? undefined : (Number(match[1]) * 1024) / 1e6;
}

/** All that a process has started, and what those have. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  const processes = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : [];
  for (const each of processes) {
    const parent = Number(statOf(each)[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(each)]);
  }
  const found: number[] = [];
  const look = (parent: number) => {
    for (const child of children.get(parent) ?? []) {
      found.push(child);
      look(child);
    }
  };
  look(pid);
  return found;
}
