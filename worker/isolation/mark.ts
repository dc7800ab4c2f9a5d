/**
 * A mark that what a process starts cannot take off by accident: neither by leaving its group and session, nor by a parent
 * that ends, nor by an environment of its own.
 *
 * It is the hard limit on file locks (RLIMIT_LOCKS), which the kernel has not looked at since Linux 2.4.25 (getrlimit(2)) and
 * which every process inherits. An account that is not root can only lower it. Whoever does that on purpose is not found any more:
 * without a sandbox nothing keeps code from that.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";

/** Two executors never have the same; nobody else has any. */
export function newMark(): number {
  return 2 ** 46 + randomInt(2 ** 46);
}

/** @returns undefined where it has none, has ended, or is another account's */
export function markOf(pid: number | "self"): number | undefined {
  try {
    const limits = readFileSync(`/proc/${pid}/limits`, "latin1");
    const hard = /^Max file locks +\S+ +(\d+)/m.exec(limits)?.[1];
    return hard === undefined ? undefined : Number(hard);
  } catch {
    return undefined;
  }
}
