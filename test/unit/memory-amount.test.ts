import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UsageError } from "../../core/errors.ts";
import { formatMemory, MAX_MEMORY_BYTES, parseMemory } from "../../core/memory.ts";

test.each<[given: string | number, bytes: number]>([
  [500_000_000, 500_000_000],
  ["500000000", 500_000_000],
  ["500MB", 500_000_000],
  ["500mb", 500_000_000],
  ["1.5 GB", 1_500_000_000],
  ["2GiB", 2_147_483_648],
  ["2g", 2_147_483_648],
  ["100M", 104_857_600],
  ["1T", 1_099_511_627_776],
  ["0.5kB", 500],
  [" 7B ", 7],
  ["0.3B", 0],
])("%j is %d bytes", (given, bytes) => {
  expect(parseMemory(given)).toBe(bytes);
});

test.each(["", " ", "MB", "5X", "-5", "5 5", "1e9", "1GB1MB", "Infinity", "٣", Number.NaN, -1, null, {}, true])(
  "%j is refused with the forms that are taken",
  (given) => {
    const shown = typeof given === "string" ? JSON.stringify(given) : inspect(given);
    expect(() => parseMemory(given as string, "--memory")).toThrow(
      new UsageError(
        `--memory: expected bytes (500000000) or a number with a unit (500MB, 1.5GB, 512MiB, 2GiB), got ${shown}`,
      ),
    );
  },
);

test("more than a PB is a slip", () => {
  expect(parseMemory("1PB")).toBe(MAX_MEMORY_BYTES);
  expect(() => parseMemory("1025TiB")).toThrow('memory: at most 1PB, got "1025TiB"');
  expect(() => parseMemory(Number.POSITIVE_INFINITY)).toThrow("memory: at most 1PB, got Infinity");
});

test.each([
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [500_000_000, "500MB"],
  [999_600_000, "1GB"],
  [2_147_483_648, "2GiB"],
  [1_610_612_736, "1.5GiB"],
  [2_345_678_912, "2.35GB"],
])("%d bytes are shown as %s", (bytes, text) => {
  expect(formatMemory(bytes)).toBe(text);
});

test("beside another amount it takes that one's units", () => {
  expect(formatMemory(560_000_000, 512 * 2 ** 20)).toBe("534MiB");
  expect(formatMemory(512 * 2 ** 20, 500_000_000)).toBe("537MB");
});

test("what is shown can be given, and is right to three digits", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_MEMORY_BYTES }), (bytes) => {
      expect(Math.abs(parseMemory(formatMemory(bytes)) - bytes)).toBeLessThanOrEqual(bytes * 0.005 + 0.5);
    }),
  );
});
