/** Processes as the kernel lists them (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It ended meanwhile.
    return "";
  }
}

function pids(): number[] {
  return readdirSync("/proc").map(Number).filter(Number.isInteger);
}

/** By pid: its parent's. Zombies, which have ended, are left out. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  for (const pid of pids()) {
    // The program's name, in parentheses, may hold anything.
    const [state, parent] = read(`/proc/${pid}/stat`).split(") ").at(-1)!.split(" ");
    if (parent !== undefined && state !== "Z") found.set(pid, Number(parent));
  }
  return found;
}

/** Everything that a process has started and that still descends from it, parents before children. */
export function descendants(pid: number): number[] {
  const all = parents();
  const found = [pid];
  for (const one of found) for (const [child, parent] of all) if (parent === one) found.push(child);
  return found.slice(1);
}

export function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Whether a process was started with this folder, works in it, or has it in its sandbox. */
function belongsTo(pid: number, folder: string): boolean {
  const traces = ["cmdline", "environ"].map((name) => read(`/proc/${pid}/${name}`));
  traces.push(link(`/proc/${pid}/cwd`));
  // A sandbox has mounts of its own.
  if (link(`/proc/${pid}/ns/mnt`) !== link("/proc/self/ns/mnt")) traces.push(read(`/proc/${pid}/mountinfo`));
  return traces.some((trace) => trace.includes(folder));
}

/** All processes, in sandboxes or not, that have to do with a folder; this one is not among them. */
export function processesOf(folder: string): string[] {
  return pids()
    .filter((pid) => pid !== process.pid && belongsTo(pid, folder))
    .map((pid) => `process ${pid}: ${commandOf(pid).slice(0, 200)}`)
    .filter((text) => !/: $/.test(text));
}
