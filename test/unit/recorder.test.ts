import { expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { Recorder } from "../../core/submit/recorder.ts";
import { Recording } from "../../core/submit/recording.ts";

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);

test("what was recorded comes back in order, whatever its size", () => {
  const recorder = new Recorder();
  const sizes = [3, 0, 1024 * 1024, 1024 * 1024 + 1, 7, 600_000, 600_000];
  const added = sizes.map((size, i) => recorder.add(bytes(size, i)));
  expect(added).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(recorder.length).toBe(7);
  const lists = recorder.slice(0, 7);
  expect(lists.map((list) => list.length)).toEqual(sizes);
  for (const [i, list] of lists.entries()) expect(Buffer.compare(list, bytes(sizes[i]!, i))).toBe(0);
});

test("a slice ends where the record does", () => {
  const recorder = new Recorder();
  for (let i = 0; i < 5; i++) recorder.add(bytes(1, i));
  expect(recorder.slice(3, 9).map((list) => list[0])).toEqual([3, 4]);
  expect(recorder.slice(5, 9)).toEqual([]);
});

test("a million small calls cost little more than their bytes", () => {
  const recorder = new Recorder();
  const encoded = bytes(12, 7);
  const before = process.memoryUsage();
  for (let i = 0; i < 1_000_000; i++) recorder.add(encoded);
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  expect(recorder.length).toBe(1_000_000);
  expect(recorder.slice(999_999, 1_000_000)[0]).toEqual(encoded);
  expect(grown).toBeLessThan(120 * 2 ** 20);
});

test("arguments are copied when the call is recorded", () => {
  const recorder = new Recorder();
  const encoded = bytes(4, 1);
  recorder.add(encoded);
  encoded.fill(9);
  expect(recorder.slice(0, 1)[0]).toEqual(bytes(4, 1));
});

test("calls that move behind others keep their handles", () => {
  const [first, second, third] = [new Recording(), new Recording(), new Recording()];
  for (const recording of [first, second, third]) {
    for (let i = 0; i < 3; i++) recording.calls.add(bytes(1, i));
  }
  third.moveBehind(second);
  second.moveBehind(first);
  expect(first.calls.length).toBe(9);
  expect([first.indexOf(2), second.indexOf(0), third.indexOf(2)]).toEqual([2, 3, 8]);
});

test("calls count up until they are discarded", async () => {
  const double = task(function double(x: number) {
    return 2 * x;
  });
  const calls = [double(1), double(2), double(3)];
  expect(calls.map((call) => call.index)).toEqual([0, 1, 2]);
  expect(double.recorded).toBe(3);
  double.discard();
  expect(double.recorded).toBe(0);
  await expect(calls[1]!.result()).rejects.toThrow("this call of double was discarded before it was submitted");
  expect(double(4).index).toBe(0);
});

test("a task of a task is itself, and has the function's name unless it is given one", () => {
  const named = task(function simulate() {});
  expect(task(named)).toBe(named);
  expect([named.taskName, named.name]).toEqual(["simulate", "simulate"]);
  expect(task(function simulate() {}, { name: "night" }).taskName).toBe("night");
  expect(task(() => 1).taskName).toBe("task");
});

test("what cannot travel is an error at the call, which records nothing", () => {
  const costly = task((_scale: number, _options: object) => undefined);
  const record = () => costly(1, { config: { socket: () => 1 } });
  expect(record).toThrow(/^argument 2, \.config\.socket: /);
  expect(costly.recorded).toBe(0);
});
