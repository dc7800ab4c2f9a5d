/** Who belongs to a call's processes, and what they hold. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { machineMemoryBytes } from "../../worker/limits/capacity.ts";
import { type ProcessFacts, readProcess, readProcesses, shareOf, treeOf } from "../../worker/limits/processes.ts";

function facts(pid: number, parent: number, group = pid, session = group): ProcessFacts {
  return { pid, parent, group, session, ended: false, startTicks: "1", threads: 1, ticks: 0, rssBytes: pid };
}

test("a tree is descendants at any depth, and who is left in group or session", () => {
  const all = [
    facts(30, 20, 30),
    facts(20, 10, 10),
    facts(10, 1),
    facts(40, 1, 10),
    facts(41, 40, 41),
    facts(50, 1, 50, 10),
    facts(1, 0),
    facts(60, 1),
  ];
  expect(treeOf(all, 10).map(({ pid }) => pid)).toEqual([20, 10, 40, 50, 30, 41]);
  expect(treeOf(all, 99)).toEqual([]);
});

test("this process is found with what it holds, whatever is in its name", () => {
  const before = process.title;
  process.title = "a) S 1 (b";
  const found = readProcesses().find(({ pid }) => pid === process.pid)!;
  process.title = before;
  expect(found.parent).toBe(process.ppid);
  const rss = process.memoryUsage.rss();
  expect(Math.abs(found.rssBytes - rss)).toBeLessThan(rss / 4);
  expect(shareOf(process.pid)!).toBeLessThanOrEqual(rss * 1.25);
  expect(shareOf(process.pid)!).toBeGreaterThan(rss / 4);
});

test("what is gone is not there", async () => {
  const child = spawn("true");
  await once(child, "close");
  expect(readProcess(child.pid!)).toBeUndefined();
  expect(shareOf(child.pid!)).toBeUndefined();
});

test("a worker has what the machine has, or less in a Slurm job", () => {
  const all = machineMemoryBytes({});
  expect(all).toBeGreaterThan(2 ** 28);
  expect(machineMemoryBytes({ SLURM_MEM_PER_NODE: "100" })).toBe(100 * 2 ** 20);
  expect(machineMemoryBytes({ SLURM_MEM_PER_CPU: "30", SLURM_CPUS_ON_NODE: "4" })).toBe(120 * 2 ** 20);
  expect(machineMemoryBytes({ SLURM_MEM_PER_NODE: "0" })).toBe(all);
  expect(machineMemoryBytes({ SLURM_MEM_PER_NODE: "99999999999" })).toBe(all);
});
