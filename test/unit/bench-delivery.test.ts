import { expect, test } from "vitest";
import { DeliveryCheck, expectExact, isExact } from "../../bench/delivery.ts";
import { idealMs, resultOf, textOf } from "../../bench/workload.ts";

test("each call's own result, once, in any order, is exact", () => {
  const check = new DeliveryCheck(3, 16);
  for (const index of [2, 0, 1]) check.take(index, [2 * index + 1, textOf(index, 16)]);
  expect(check.end()).toEqual({ missing: 0, twice: 0, wrong: 0 });
  expect(isExact(check.end())).toBe(true);
});

test("missing, doubled, exchanged and unknown calls are told apart", () => {
  const check = new DeliveryCheck(4, 16);
  check.take(0, resultOf(0, 16));
  check.take(0, resultOf(0, 16));
  check.take(1, resultOf(2, 16));
  check.take(9, resultOf(9, 16));
  expect(check.count).toBe(2);
  expect(check.end()).toEqual({ missing: 2, twice: 1, wrong: 2 });
  expect(isExact(check.end())).toBe(false);
});

test("a text has the asked length and its call's index; the ideal time rounds up to whole rounds of slots", () => {
  expect(textOf(7, 16)).toBe("7:..............");
  expect(textOf(123456, 4)).toBe("123456:");
  const workload = { name: "", calls: 5, work: "sleep", ms: 10, payloadBytes: 16, slots: 2 } as const;
  expect(idealMs(workload)).toBe(30);
});

test("a run with one wrong result is an error that says so", () => {
  expect(() => expectExact({ missing: 0, twice: 0, wrong: 1 }, "work")).toThrow(
    "work: of the results 0 are missing, 0 came twice, 1 are wrong",
  );
  expectExact({ missing: 0, twice: 0, wrong: 0 }, "work");
});
