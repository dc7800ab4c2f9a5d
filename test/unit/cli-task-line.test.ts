import { expect, test } from "vitest";
import { HEADER, lineOf } from "../../cli/task-line.ts";

const ENDED = {
  index: 7,
  state: "succeeded",
  error: null,
  worker: "fir-1",
  attempts: 1,
  losses: 0,
  startedMs: 0,
  durationMs: 1500,
  peakMemoryBytes: null,
  heardMs: null,
};

const columns = (line: string) => line.split(/ {2,}/);

test("a call that went straight through says no more than it has to", () => {
  expect(columns(lineOf(ENDED))).toEqual(["7", "succeeded", "1.5s", "fir-1"]);
});

test("peak memory, several attempts and losses have columns of their own", () => {
  const run = {
    ...ENDED,
    state: "failed",
    error: "Error: no\nmore",
    attempts: 3,
    losses: 2,
    peakMemoryBytes: 123_400_000,
  };
  const line = lineOf(run);
  expect(columns(line)).toEqual(["7", "failed", "1.5s", "123MB", "3", "2", "fir-1", "Error: no"]);
  const at = (name: string) => HEADER.indexOf(name);
  expect(["123MB", "3 ", "2 ", "fir-1"].map((cell) => line.indexOf(` ${cell}`) + 1)).toEqual(
    ["MEMORY", "ATTEMPTS", "LOSSES", "WORKER"].map(at),
  );
});
