import { Site } from "../humq/site.ts";
import type { Bench, Row, Section } from "../section.ts";
import { percentiles } from "../statistics.ts";
import { SMALL_BYTES } from "./throughput.ts";

/** Single calls of one run; enough for a 99th percentile. */
const WARM_CALLS = 200;
/** The first calls, in which everything gets warm. */
const WARM_UP_CALLS = 50;
/** Cold starts in all. */
const COLD_STARTS = 5;

async function warm(bench: Bench, site: Site): Promise<Row[]> {
  const client = site.client();
  const worker = await site.worker(bench.slots);
  const found: Record<"p50" | "p95" | "p99", number[]> = { p50: [], p95: [], p99: [] };
  await client.ask("latencies", bench.smoke ? 1 : WARM_UP_CALLS, SMALL_BYTES);
  for (let run = 1; run <= bench.runs; run++) {
    bench.say(`warm ${run}/${bench.runs}`);
    const times = percentiles(await client.ask("latencies", bench.smoke ? 5 : WARM_CALLS, SMALL_BYTES));
    for (const p of ["p50", "p95", "p99"] as const) found[p].push(times[p]);
  }
  await worker.stop();
  await client.stop();
  return [
    { label: "one call, warm: median", unit: "ms", samples: found.p50, budget: "latency" },
    { label: "one call, warm: 95th percentile", unit: "ms", samples: found.p95 },
    { label: "one call, warm: 99th percentile", unit: "ms", samples: found.p99 },
  ];
}

/** The first call of all: nothing is connected, no executor runs, the code is not on the worker. */
async function cold(bench: Bench, site: Site): Promise<Row> {
  const samples: number[] = [];
  const starts = bench.smoke ? 1 : COLD_STARTS;
  for (let start = 1; start <= starts; start++) {
    bench.say(`cold ${start}/${starts}`);
    const client = site.client();
    const worker = await site.worker(bench.slots);
    samples.push(...(await client.ask("latencies", 1, SMALL_BYTES)));
    await worker.stop();
    await client.stop();
  }
  return { label: "first call of a new client on a new worker", unit: "ms", samples, note: `${starts} starts` };
}

export const latency: Section = {
  name: "latency",
  title: "One call, idle system, submit to result",
  method: "Single calls, one after the other, each a tag of its own; from calling the function to its result in hand.",
  async run(bench) {
    const site = await Site.start(bench);
    return [...(await warm(bench, site)), await cold(bench, site)];
  },
};
