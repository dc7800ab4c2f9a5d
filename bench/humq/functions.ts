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

/** What call `index` of a run of large results gives back: each call's bytes differ. */
export function bytesOf(index: number, bytes: number): Uint8Array {
  const value = new Uint8Array(bytes).fill(index & 255);
  new DataView(value.buffer).setUint32(bytes - 4, index);
  return value;
}

/** A function to be captured, whose results are `bytes` long. */
export function resultsOf(bytes: number): (index: number) => Uint8Array {
  return function large(index) {
    return bytesOf(index, bytes);
  };
}
