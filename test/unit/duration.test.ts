import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../../core/duration.ts";
import { UsageError } from "../../core/errors.ts";

test.each<[given: string | number, ms: number]>([
  ["90", 90_000],
  [90, 90_000],
  [0, 0],
  [0.25, 250],
  ["0.5", 500],
  ["90s", 90_000],
  ["5m", 300_000],
  ["1h30m", 5_400_000],
  ["1.5h", 5_400_000],
  ["2d", 172_800_000],
  ["1d2h3m4s5ms", 93_784_005],
  ["500ms", 500],
  ["00:00:01", 1000],
  ["01:30:00", 5_400_000],
  ["72:00:00", 259_200_000],
  [" 5M ", 300_000],
])("%j is %d ms", (given, ms) => {
  expect(parseDuration(given)).toBe(ms);
});

test.each([
  "",
  " ",
  "s",
  "5x",
  "-5",
  "-5s",
  "5 m",
  "1m1h",
  "1:30",
  "00:60:00",
  "1e3",
  "Infinity",
  "90ss",
  "5m5m",
  ".",
  "٣",
])("%j is refused with the forms that are taken", (given) => {
  expect(() => parseDuration(given, "--time-limit")).toThrow(
    new UsageError(
      `--time-limit: expected seconds (90), a number with units (90s, 5m, 1h30m, 2d), or HH:MM:SS, got ${JSON.stringify(given)}`,
    ),
  );
});

test.each([Number.NaN, -1])("%d is refused", (given) => {
  expect(() => parseDuration(given)).toThrow(
    `duration: expected seconds (90), a number with units (90s, 5m, 1h30m, 2d), or HH:MM:SS, got ${given}`,
  );
});

test("more than a year is refused, since it is a slip", () => {
  expect(parseDuration("365d")).toBe(MAX_DURATION_MS);
  const message = "duration: at most 365d, got 3600000000; a plain number counts seconds";
  expect(() => parseDuration(3_600_000_000)).toThrow(new UsageError(message));
  expect(() => parseDuration(Number.POSITIVE_INFINITY)).toThrow(UsageError);
  expect(() => parseDuration("9".repeat(400))).toThrow(UsageError);
});

test.each([
  [0, "0s"],
  [1, "1ms"],
  [999, "999ms"],
  [1250, "1.25s"],
  [59_999, "59.999s"],
  [60_000, "1m"],
  [5_400_000, "1h30m"],
  [90_061_000, "1d1h1m1s"],
  [3_599_999, "1h"],
])("%d ms is written %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("what is written is read back: to the millisecond below a minute, to the second above", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms < 60_000 ? ms : Math.round(ms / 1000) * 1000);
    }),
  );
});
