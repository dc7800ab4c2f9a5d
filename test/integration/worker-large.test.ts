/** Large arguments and results: whole, whatever their size, and never more than a few parts of them in an executor at once. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { startInstance } from "../support/embedded.ts";

const MB = 2 ** 20;

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Bytes that are different at each place and for each call. */
function pattern(bytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2_654_435_761) ^ seed;
  return new Uint8Array(words.buffer, 0, bytes);
}

test("values of all sizes come and go whole: below, at and above a part, and of 64 MB", async () => {
  await using _instance = await startInstance();
  const part = 512 * 1024;
  const sizes = [1024, 64 * 1024, part - 20, part, part + 1, MB, 3 * part, 64 * MB];
  const echo = task((bytes: Uint8Array) => bytes);
  for (const [i, size] of sizes.entries()) echo(pattern(size, i));
  using tag = await echo.submit({ quiet: true });
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect([tag.nResults, tag.nErrors]).toEqual([sizes.length, 0]);
  let index = 0;
  for await (const result of tag.results()) {
    const sent = pattern(sizes[index]!, index++);
    expect([result?.length, hashOf(result!)]).toEqual([sent.length, hashOf(sent)]);
  }
});

test("an executor holds a large result once, and the arguments of no more than two jobs", async () => {
  await using _instance = await startInstance();
  const peakMb = task(async (bytes: Uint8Array, fill: number) => {
    const { readFileSync } = await import("node:fs");
    const grown = new Uint8Array(bytes.length).fill(fill);
    const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;
    return { peak: peak(), grown };
  });
  const calls = 10;
  const arg = pattern(16 * MB, 7);
  for (let i = 0; i < calls; i++) peakMb(arg, i);
  using tag = await peakMb.submit({ quiet: true });
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  const peaks: number[] = [];
  for await (const result of tag.results()) peaks.push(result!.peak);
  expect(peaks).toHaveLength(calls);
  // Node itself takes 60 MB; the sealed arguments of two jobs, the opened ones of one, its value and its result 80.
  expect(Math.max(...peaks)).toBeLessThan(260);
});
