import { setTimeout as delay } from "node:timers/promises";
import type { BudgetName } from "../budgets.ts";
import { expectExact } from "../delivery.ts";
import { type Client, Site } from "../humq/site.ts";
import { cpuOf, descendantsOf } from "../processes.ts";
import type { Bench, Row, Section } from "../section.ts";
import type { Workload } from "../workload.ts";

/** Bytes of the empty calls' argument and result. */
export const SMALL_BYTES = 16;

/** How often it is looked how far a tag is. */
const LOOK_MS = 50;

export function emptyCalls(calls: number, slots: number): Workload {
  return { name: "no-op", calls, work: "nothing", ms: 0, payloadBytes: SMALL_BYTES, slots };
}

/** Milliseconds until all calls of a paused tag have ended, from the moment in which it is let go. */
export async function drainMs(client: Client, tag: string, calls: number, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  await client.ask("resume", tag);
  while ((await client.ask("ended", tag)) < calls) await delay(LOOK_MS, undefined, { signal });
  return performance.now() - began;
}

/** Microseconds of processor time that each kind of process has used so far. */
export function cpuBy(pids: { client: number; server: number; worker: number }): Record<string, number> {
  const executors = descendantsOf(pids.worker).reduce((sum, pid) => sum + cpuOf(pid), 0);
  return {
    client: cpuOf(pids.client),
    server: cpuOf(pids.server),
    worker: cpuOf(pids.worker),
    executors,
  };
}

interface Way {
  readonly chunkSize: number;
  readonly label: string;
  /** Of how many calls, for one of the single ones. */
  readonly factor: number;
  readonly budgets: { submit?: BudgetName; work?: BudgetName; pull?: BudgetName };
}

const WAYS: readonly Way[] = [
  {
    chunkSize: 1,
    label: "one call a message",
    factor: 1,
    budgets: { submit: "submit", work: "work", pull: "pull" },
  },
  { chunkSize: 100, label: "chunkSize 100", factor: 4, budgets: { work: "workChunked" } },
];

async function measure(bench: Bench, site: Site, way: Way): Promise<Row[]> {
  const calls = bench.calls * way.factor;
  const workload = emptyCalls(calls, bench.slots);
  const client = site.client();
  const tags = new Map<number, string>();
  const submits: number[] = [];
  // The first is the warm-up. No worker runs while they are submitted, and none takes anything before it is resumed.
  for (let run = bench.firstRun; run <= bench.runs; run++) {
    bench.say(`${way.label}: submit ${run}/${bench.runs}`);
    const { tag, ms } = await client.ask("submit", workload, way.chunkSize);
    await client.ask("pause", tag);
    tags.set(run, tag);
    if (run > 0) submits.push((calls / ms) * 1000);
  }
  const worker = await site.worker(bench.slots);
  const pids = { client: client.pid, server: site.serverPid, worker: worker.pid };
  const rates: number[] = [];
  const cpu: number[] = [];
  const parts = new Map<string, number[]>();
  for (const [run, tag] of tags) {
    bench.say(`${way.label}: work ${run}/${bench.runs}`);
    const before = cpuBy(pids);
    const ms = await drainMs(client, tag, calls, bench.signal);
    const after = cpuBy(pids);
    if (run === 0) continue;
    rates.push((calls / ms) * 1000);
    const each = Object.keys(after).map((who) => [who, ((after[who] ?? 0) - (before[who] ?? 0)) / calls] as const);
    cpu.push(each.reduce((sum, [, us]) => sum + us, 0));
    for (const [who, us] of each) parts.set(who, [...(parts.get(who) ?? []), us]);
  }
  await worker.stop();
  const pulls: number[] = [];
  for (const [run, tag] of tags) {
    bench.say(`${way.label}: pull ${run}/${bench.runs}`);
    const { ms, delivery } = await client.ask("pull", tag, SMALL_BYTES);
    expectExact(delivery, `pull, ${way.label}`);
    if (run > 0) pulls.push((calls / ms) * 1000);
    await client.ask("forget", tag);
  }
  await client.stop();
  const middle = (list: number[]) => Math.round([...list].sort((a, b) => a - b)[list.length >> 1] ?? 0);
  const shares = [...parts].map(([who, list]) => `${who} ${middle(list)}`).join(", ");
  const figure = (what: "submit" | "work" | "pull", samples: number[]): Row => ({
    label: `${what}, ${way.label}`,
    unit: "calls/s",
    samples,
    note: `${calls.toLocaleString("en")} calls`,
    ...(way.budgets[what] === undefined ? {} : { budget: way.budgets[what] }),
  });
  return [
    figure("submit", submits),
    figure("work", rates),
    { label: `work, ${way.label}: processor time a call`, unit: "us", samples: cpu, note: shares },
    figure("pull", pulls),
  ];
}

/** Submit, work and pull as one, workers waiting: `"auto"` runs some calls on them before it submits. */
async function together(bench: Bench, site: Site): Promise<Row[]> {
  const calls = bench.calls * 4;
  const client = site.client();
  const worker = await site.worker(bench.slots);
  const rows: Row[] = [];
  for (const chunkSize of [100, "auto"] as const) {
    const samples: number[] = [];
    for (let run = bench.firstRun; run <= bench.runs; run++) {
      bench.say(`all as one, chunkSize ${chunkSize}: ${run}/${bench.runs}`);
      const { totalMs, delivery } = await client.ask("whole", emptyCalls(calls, bench.slots), chunkSize);
      expectExact(delivery, `all as one, chunkSize ${chunkSize}`);
      if (run > 0) samples.push((calls / totalMs) * 1000);
    }
    const label = `all as one, chunkSize ${chunkSize}`;
    rows.push({ label, unit: "calls/s", samples, note: `${calls.toLocaleString("en")} calls` });
  }
  await worker.stop();
  await client.stop();
  return rows;
}

export const throughput: Section = {
  name: "throughput",
  title: "Empty calls: submit, work, pull",
  method:
    "Tags are submitted (recording included) while no worker runs, worked off by a warm worker, one after the other, then pulled " +
    "into the archive; each figure is of that step alone. All as one: the three overlap, checking every result included.",
  async run(bench) {
    const site = await Site.start(bench);
    const rows: Row[] = [];
    for (const way of WAYS) rows.push(...(await measure(bench, site, way)));
    return [...rows, ...(await together(bench, site))];
  },
};
