/**
 * Pi by throwing darts: 40 calls of a million darts each.
 *
 *   node examples/pi/pi.ts
 */
import { task } from "humq";

const DARTS = 1_000_000;

const throwDarts = task(function throwDarts(_round: number) {
  let hits = 0;
  for (let i = 0; i < DARTS; i++) if (Math.hypot(Math.random(), Math.random()) <= 1) hits++;
  return hits;
});

for (let round = 0; round < 40; round++) throwDarts(round);

const tag = await throwDarts.submit({ tag: "pi" });
await tag.pull({ blocking: true });

let hits = 0;
for await (const result of tag.results()) hits += result ?? 0;
console.log(`pi is about ${((4 * hits) / (tag.nResults * DARTS)).toFixed(4)}, by ${tag.nResults * DARTS} darts`);
