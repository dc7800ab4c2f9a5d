import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { grantAccess, requestAccess, type Tag, task } from "../../core/index.ts";
import { startEmbedded } from "../../core/instance/up.ts";
import { PACKAGE_ROOT } from "../humq/root.ts";
import { startWorker } from "../humq/worker.ts";
import type { Bench, Row, Section } from "../section.ts";

/** The long tag; --huge takes the million. */
const LONG_CALLS = 100_000;
const HUGE_CALLS = 1_000_000;
const SHORT_CALLS = 10;
const TIMES = 5;
/** Tags of one call each that are submitted one after the other, and then waited for together. */
const TAGS = 1_000;

/** Milliseconds from submitting a short tag to its first result, and to its last. */
async function shortTag(work: (index: number) => Promise<Tag<number>>): Promise<{ firstMs: number; lastMs: number }> {
  const began = performance.now();
  const tag = await work(SHORT_CALLS);
  const firstMs = await Promise.any(
    Array.from({ length: SHORT_CALLS }, (_, index) => tag.result(index).then(() => performance.now() - began)),
  );
  if ((await tag.pull({ blocking: true, quiet: true })) !== 0) throw new Error(`${tag.name}: results are missing`);
  const lastMs = performance.now() - began;
  tag.close();
  return { firstMs, lastMs };
}

async function measure(bench: Bench): Promise<Row[]> {
  const own = join(bench.folder, "home");
  const other = join(bench.folder, "other");
  mkdirSync(own, { recursive: true, mode: 0o700 });
  process.env.HUMQ_HOME = own;
  process.env.HUMQ_INSTANCE = "bench";
  const embedded = await startEmbedded({ worker: false, instance: "bench", signal: bench.signal });
  bench.cleanup.add(() => embedded.stop());
  process.env.HUMQ_HOME = other;
  const request = requestAccess(embedded.link, { instance: "bench" });
  process.env.HUMQ_HOME = own;
  await grantAccess(request, "other");
  const as = async <T>(home: string, action: () => Promise<T>): Promise<T> => {
    process.env.HUMQ_HOME = home;
    return action();
  };
  const work = task((index: number) => 2 * index, { name: "turns" });
  const submit = (calls: number) => {
    for (let index = 0; index < calls; index++) work(index);
    return work.submit({ quiet: true });
  };
  const env = { ...process.env, HUMQ_HOME: own };
  const { stop } = await startWorker({ root: PACKAGE_ROOT, slots: bench.slots, env, cleanup: bench.cleanup });
  const calls = bench.smoke ? 500 : bench.huge ? HUGE_CALLS : LONG_CALLS;
  const rows: Row[] = [];
  for (const [whose, home] of [
    ["another user's", other],
    ["one's own", own],
  ] as const) {
    const long = await as(own, () => submit(calls));
    const times = { first: [] as number[], last: [] as number[] };
    for (let time = 0; time < (bench.smoke ? 1 : TIMES); time++) {
      const { firstMs, lastMs } = await as(home, () => shortTag(submit));
      times.first.push(firstMs / 1000);
      times.last.push(lastMs / 1000);
    }
    const { succeeded } = await as(own, () => long.status());
    const note = `${calls.toLocaleString("en")} no-op calls, ${succeeded.toLocaleString("en")} of them done at the end`;
    rows.push({
      label: `first result behind ${whose} long tag`,
      unit: "s",
      samples: times.first,
      budget: "firstResult",
      note,
    });
    rows.push({ label: `${SHORT_CALLS} results behind ${whose} long tag`, unit: "s", samples: times.last });
    bench.say(
      `${whose}: first ${times.first.map((s) => s.toFixed(2)).join(" ")} s, last ${times.last.map((s) => s.toFixed(2)).join(" ")} s; ${note}`,
    );
    await as(own, () => long.cancel());
    await as(own, () => long.delete({ force: true }));
  }
  const count = bench.smoke ? 20 : TAGS;
  const began = performance.now();
  const tags = await as(own, async () => {
    const submitted: Tag<number>[] = [];
    for (let tag = 0; tag < count; tag++) submitted.push(await submit(1));
    return submitted;
  });
  const submittedMs = performance.now() - began;
  for (const tag of tags) if ((await tag.result(0)) !== 0) throw new Error(`${tag.name}: a wrong result`);
  const tookMs = performance.now() - began;
  rows.push({
    label: `${count} tags of one call: submitted and done`,
    unit: "s",
    samples: [tookMs / 1000],
    note: `submitted in ${(submittedMs / 1000).toFixed(1)} s`,
  });
  bench.say(`${count} tags: submitted ${(submittedMs / 1000).toFixed(1)} s, done ${(tookMs / 1000).toFixed(1)} s`);
  await stop();
  return rows;
}

export const turns: Section = {
  name: "turns",
  title: "Short tags beside long ones",
  method:
    "A short tag is submitted while a long one of no-op calls is being worked off; from submit to its results in hand.",
  run: measure,
};
