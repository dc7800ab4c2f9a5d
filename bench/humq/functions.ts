import type { Workload } from "../workload.ts";

export type WorkFunction = (index: number, text: string) => [number, string] | Promise<[number, string]>;

/** What a workload's calls run, as a function to be captured: it closes over `ms` and nothing else. */
export function functionOf({ work, ms }: Pick<Workload, "work" | "ms">): WorkFunction {
  if (work === "nothing") {
    return function nothing(index, text) {
      return [2 * index + 1, text];
    };
  }
  if (work === "sleep") {
    return async function sleep(index, text) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return [2 * index + 1, text];
    };
  }
  return function compute(index, text) {
    const from = process.threadCpuUsage();
    for (let used = 0; used < ms * 1000; ) {
      for (let i = 0; i < 1000; i++) Math.sqrt(i);
      const { user, system } = process.threadCpuUsage(from);
      used = user + system;
    }
    return [2 * index + 1, text];
  };
}
