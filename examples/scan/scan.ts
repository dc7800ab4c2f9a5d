/**
 * A parameter scan that returns typed arrays: the logistic map x -> r x (1 - x) for 200 values of r,
 * ten values of r in a message because each call takes well below a millisecond.
 *
 *   node examples/scan/scan.ts
 */
import { task } from "humq";

const settle = 1000;
const keep = 64;

/** The points that the map visits after it has settled. */
const orbit = task(function orbit(r: number): Float64Array {
  let x = 0.5;
  for (let i = 0; i < settle; i++) x = r * x * (1 - x);
  return Float64Array.from({ length: keep }, () => (x = r * x * (1 - x)));
});

const parameters = Array.from({ length: 200 }, (_, i) => 2.5 + (1.5 * i) / 199);
for (const r of parameters) orbit(r);

const tag = await orbit.submit({ tag: "logistic-map", chunkSize: 10 });
await tag.pull({ blocking: true });

let index = 0;
for await (const points of tag.results()) {
  const r = parameters[index++]!;
  if (points === null || index % 25 !== 1) continue;
  const visited = new Set(Array.from(points, (x) => x.toFixed(4)));
  console.log(
    `r = ${r.toFixed(3)}: ${visited.size > 16 ? "chaos" : `${visited.size} point${visited.size === 1 ? "" : "s"}`}`,
  );
}
