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
  // The thread's own clock, as Node has it, moves once a tick of the kernel (4 ms): 1 ms became 2.5. A step that took
  // much longer than it can is one in which the thread was off the processor.
  return function compute(index, text) {
    let last = performance.now();
    for (let used = 0; used < ms; ) {
      for (let i = 0; i < 1000; i++) Math.sqrt(i);
      const now = performance.now();
      if (now - last < 0.1) used += now - last;
      last = now;
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
