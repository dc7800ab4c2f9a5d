/** Rows of outcomes, or atomic batches where the server flushes each message to its disk. */
import { expect, test } from "vitest";
import { RowWay } from "../../worker/row-way.ts";

function after(rowsTookMs: readonly number[], count = 64): RowWay {
  const way = new RowWay();
  for (const tookMs of rowsTookMs) way.rowTook(count, tookMs, 0);
  return way;
}

test("rows as long as they are quick, or too short to tell", () => {
  expect(after([2, 2, 2, 2, 2]).isBatch(64, 0)).toBe(false);
  expect(after([90, 90, 90, 2, 90, 90, 90]).isBatch(64, 0)).toBe(false);
  expect(after([90, 90, 90, 90, 90], 8).isBatch(64, 0)).toBe(false);
});

test("batches of many where rows are slow again and again, for a while", () => {
  const way = after([90, 90, 90, 90]);
  expect(way.isBatch(64, 0)).toBe(true);
  expect(way.isBatch(8, 0)).toBe(false);
  for (const tookMs of [90, 5, 90, 90, 90]) way.batchTook(64, tookMs, 0);
  expect(way.isBatch(64, 29_999)).toBe(true);
  expect(way.isBatch(64, 30_000)).toBe(false);
});

test("rows where batches are no quicker, and no other try soon", () => {
  const way = after([90, 90, 90, 90]);
  for (let i = 0; i < 4; i++) way.batchTook(64, 80, 0);
  expect(way.isBatch(64, 0)).toBe(false);
  for (let i = 0; i < 4; i++) way.rowTook(64, 90, 29_999);
  expect(way.isBatch(64, 29_999)).toBe(false);
  for (let i = 0; i < 4; i++) way.rowTook(64, 90, 30_000);
  expect(way.isBatch(64, 30_000)).toBe(true);
});
