/** `chunkSize: "auto"`: from how long some calls took to how many go in a message. */
import { expect, test } from "vitest";
import { chunkSizeFor } from "../../core/submit/chunk-size.ts";

const each = (ms: number, first = ms) => [first, ...new Array<number>(7).fill(ms)];

test.each<[string, number[], number | undefined, number]>([
  ["calls that take nothing", each(0), undefined, 200],
  ["calls of 20 us, the first of which loads something", each(0.02, 80), undefined, 200],
  ["calls of half a millisecond", each(0.5), undefined, 40],
  ["calls of 20 ms and more", each(20), undefined, 1],
  ["calls of a minute", each(60_000), undefined, 1],
  ["calls that did not end in time", each(0.5).slice(1), undefined, 1],
  ["few calls: enough messages for many slots", each(0), 640, 10],
  ["very many calls", each(0.5), 10_000_000, 40],
])("%s", (_, tookMs, calls, size) => {
  expect(chunkSizeFor(tookMs, calls)).toBe(size);
});
