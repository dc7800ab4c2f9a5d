/** How much memory a worker offers. */
import { expect, test } from "vitest";
import { UsageError } from "../../core/errors.ts";
import { lackOf, workerMemoryBytes } from "../../worker/limits/capacity.ts";

test.each([1, "0", "1kB", "99MB"])("%s is too little for any call that asks for memory", (memory) => {
  expect(() => workerMemoryBytes(memory)).toThrow(
    new UsageError(
      `worker option memory: expected at least 100MB, the least that a call can ask for, got ${memory}; leave it out for all of the machine's`,
    ),
  );
});

test("the least, and what the machine has", () => {
  expect(workerMemoryBytes("100MB")).toBe(100_000_000);
  expect(workerMemoryBytes(undefined)).toBeGreaterThan(100_000_000);
});

test("what is lacking is told in the units of what is asked for", () => {
  const worker = { slots: 1, memoryBytes: 500_000_000 };
  expect(lackOf({ cpus: 1, memoryBytes: 2 ** 30 }, worker)).toBe(
    "a call of it asks for 1GiB of memory, this worker has 477MiB",
  );
});
