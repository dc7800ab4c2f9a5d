import { readFileSync } from "node:fs";

/** Seconds of processor time that a process has used, its threads included (proc(5)). */
export function processorSeconds(pid: number): number {
  // The program's name, in parentheses, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
