import { expect, test } from "vitest";
import { Catalogue } from "../../worker/catalogue.ts";

const records = (...entries: [string, number][]) => new Map(entries);

test("what was looked at is not looked at again, until its record is stored anew", () => {
  const catalogue = new Catalogue();
  expect(catalogue.nextSeq).toBe(1);
  expect(catalogue.open(records(["b", 7], ["a", 3]))).toEqual([
    ["a", 3],
    ["b", 7],
  ]);
  catalogue.note("a", 3, true);
  catalogue.note("b", 7, true);
  expect(catalogue.nextSeq).toBe(8);
  expect(catalogue.open(records())).toEqual([]);
  expect(catalogue.open(records(["a", 9]))).toEqual([["a", 9]]);
  expect(catalogue.nextSeq).toBe(10);
});

test("what could not be looked at is tried again", () => {
  const catalogue = new Catalogue();
  catalogue.open(records(["a", 3]));
  catalogue.note("a", 3, false);
  expect(catalogue.open(records(["b", 5]))).toEqual([
    ["a", 3],
    ["b", 5],
  ]);
  catalogue.note("a", 3, true);
  catalogue.note("b", 5, true);
  expect(catalogue.open(records())).toEqual([]);
});

test("a look at everything forgets what is gone, and finds what lies before", () => {
  const catalogue = new Catalogue();
  catalogue.open(records(["a", 30], ["b", 40], ["c", 50]));
  catalogue.note("a", 30, true);
  catalogue.note("b", 40, false);
  catalogue.note("c", 50, true);
  // A stream that was restored from a backup: other places, fewer tags.
  const stored = records(["c", 5], ["d", 6]);
  catalogue.keepOnly(stored);
  expect(catalogue.open(stored)).toEqual([
    ["c", 5],
    ["d", 6],
  ]);
  expect(catalogue.nextSeq).toBe(7);
  // Forgotten, so new when it comes back.
  expect(catalogue.open(records(["a", 30]))).toContainEqual(["a", 30]);
});
