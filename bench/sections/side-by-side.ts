import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Contender, isSkipped, type Ready, type Running } from "../contender.ts";
import { expectExact } from "../delivery.ts";
import { contenders as floor } from "../floor/contender.ts";
import { contenders as humq } from "../humq/contender.ts";
import type { Bench, Figure, Row, Section } from "../section.ts";
import { idealMs, type Workload } from "../workload.ts";

/** Arguments and results of every call. */
const PAYLOAD_BYTES = 1000;
/** How long a run is to take, about. */
const RUN_MS = 800;
/** Calls from so many milliseconds on are long: how many fill a run is known before. */
const LONG_MS = 100;
/** Runs of long calls: so long that starting and ending count little. */
const LONG_RUN_MS = 2500;
const SMOKE_RUN_MS = 100;
const FIRST_TRY_CALLS = 100;
/** However fast it is: what a run may put into memory and onto the disk. */
const MOST_CALLS = 100_000;
const SINGLE_CALLS = 100;

/** A run, or a start, that takes so long is stuck. */
const STUCK_MS = 120_000;

type Kind = Pick<Workload, "name" | "work" | "ms">;

const KINDS: readonly Kind[] = [
  { name: "no-op", work: "nothing", ms: 0 },
  { name: "1 ms sleep", work: "sleep", ms: 1 },
  { name: "10 ms sleep", work: "sleep", ms: 10 },
  { name: "100 ms sleep", work: "sleep", ms: 100 },
  { name: "1 ms CPU", work: "cpu", ms: 1 },
  { name: "10 ms CPU", work: "cpu", ms: 10 },
  { name: "100 ms CPU", work: "cpu", ms: 100 },
];

/** Every `.ts` file directly in bench/peers. */
async function loadPeers(): Promise<Contender[]> {
  const folder = join(import.meta.dirname, "../peers");
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  const modules = await Promise.all(
    files.sort().map(async (name) => (await import(join(folder, name))) as { contenders: readonly Contender[] }),
  );
  return modules.flatMap(({ contenders }) => contenders);
}

/** @throws where it takes so long that it will hardly ever end */
async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => over.reject(new Error(`${what}: not done after ${STUCK_MS / 1000} s`)), STUCK_MS);
  try {
    return await Promise.race([promise, over.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function runExact(running: Running, workload: Workload, name: string): Promise<number> {
  const { totalMs, delivery } = await within(`${name}, ${workload.name}`, running.run(workload));
  expectExact(delivery, `${name}, ${workload.name}`);
  return totalMs;
}

/** A workload of so many calls that a run takes about as long as it should; gets everything warm on the way. */
async function sized(bench: Bench, running: Running, kind: Kind, name: string): Promise<Workload> {
  const { slots } = bench;
  const wantedMs = bench.smoke ? SMOKE_RUN_MS : kind.ms >= LONG_MS ? LONG_RUN_MS : RUN_MS;
  const most = kind.ms === 0 ? MOST_CALLS : Math.max(slots, Math.ceil((wantedMs / kind.ms) * slots));
  const of = (calls: number): Workload => ({ ...kind, calls, slots, payloadBytes: PAYLOAD_BYTES });
  if (kind.ms >= LONG_MS) {
    await runExact(running, of(Math.min(most, 2 * slots)), name);
    return of(bench.smoke ? 2 * slots : most);
  }
  let calls = Math.min(most, bench.smoke ? 2 * slots : FIRST_TRY_CALLS);
  for (;;) {
    const tookMs = await runExact(running, of(calls), name);
    const factor = wantedMs / tookMs;
    if (bench.smoke || factor < 2 || calls === most) {
      return of(Math.min(most, Math.ceil((calls * factor) / slots) * slots));
    }
    calls = Math.min(most, Math.ceil(calls * Math.min(factor, 10)));
  }
}

/** How much longer than with a queue that costs nothing, in percent. */
function overhead(workload: Workload, totalMs: number): number {
  return (totalMs / idealMs(workload) - 1) * 100;
}

async function measureKind(bench: Bench, running: Running, name: string, kind: Kind): Promise<Row[]> {
  bench.say(`${name}: ${kind.name}`);
  const workload = await sized(bench, running, kind, name);
  const times: number[] = [];
  for (let run = 0; run < bench.runs; run++) times.push(await runExact(running, workload, name));
  const rate: Figure = {
    label: `${name}, ${kind.name}`,
    unit: "calls/s",
    samples: times.map((ms) => (workload.calls / ms) * 1000),
    note: `${workload.calls} calls`,
    cell: { row: name, column: kind.name },
  };
  // The budget is of calls that travel one by one: what else humq can do with long calls is no use.
  if (name !== humq[0]?.name || kind.ms === 0) return [rate];
  const over: Figure = {
    label: `${name}, ${kind.name}: overhead against ideal`,
    unit: "%",
    samples: times.map((ms) => overhead(workload, ms)),
    note: `${workload.calls} calls, ideal ${idealMs(workload)} ms`,
    ...(kind.ms >= LONG_MS ? { budget: "overhead" } : {}),
  };
  return [rate, over];
}

async function measureAll(bench: Bench, { name }: Contender, ready: Ready): Promise<Row[]> {
  const folder = join(bench.folder, name.replace(/\W+/g, "-"));
  mkdirSync(folder);
  const running = await within(`${name}, start`, ready.start({ slots: bench.slots, folder, signal: bench.signal }));
  const stop = bench.cleanup.add(() => running.stop());
  try {
    const rows: Row[] = [];
    const kinds = bench.smoke ? KINDS.filter(({ ms }) => ms < LONG_MS) : KINDS;
    for (const kind of kinds) rows.push(...(await measureKind(bench, running, name, kind)));
    if (running.latencies === undefined) return rows;
    const count = bench.smoke ? 2 : SINGLE_CALLS;
    await within(`${name}, single calls`, running.latencies(count, PAYLOAD_BYTES));
    const samples = await within(`${name}, single calls`, running.latencies(count, PAYLOAD_BYTES));
    return [...rows, { label: `${name}, one call`, unit: "ms", samples, cell: { row: name, column: "one call" } }];
  } finally {
    await stop();
  }
}

async function measure(bench: Bench, contender: Contender): Promise<Row[]> {
  const { name } = contender;
  bench.say(`${name}: preparing`);
  const answer = await contender.prepare({ mayInstall: !bench.smoke, signal: bench.signal });
  if (isSkipped(answer)) {
    bench.say(`SKIPPED: ${name}: ${answer.skipped}`);
    return [{ label: name, skipped: answer.skipped }];
  }
  const { isolation, durability, encryption, signatures } = answer.traits;
  const remark = `${answer.version}; isolation: ${isolation}; durability: ${durability}; encryption: ${encryption}; signatures: ${signatures}`;
  return [{ label: name, remark }, ...(await measureAll(bench, contender, answer))];
}

export const sideBySide: Section = {
  name: "peers",
  title: "Side by side",
  method:
    "The same calls by humq, by nats.js alone on the same server, and by other systems: 1,000 bytes in, 1,000 bytes out, from the first " +
    "submitted to the last result in the client's hands, workers waiting. Sleeping calls leave the processor to the system, computing " +
    "ones share it with everything. bench/README.md says what differs.",
  async run(bench) {
    const all = [...humq, ...floor, ...(await loadPeers())];
    const wanted = all.filter(
      ({ name }) => bench.contender === undefined || name.toLowerCase().includes(bench.contender),
    );
    if (wanted.length === 0) {
      bench.fail(`--contender ${bench.contender}: there are ${all.map(({ name }) => name).join("; ")}`);
    }
    const rows: Row[] = [];
    for (const contender of wanted) {
      try {
        rows.push(...(await measure(bench, contender)));
      } catch (error) {
        bench.signal.throwIfAborted();
        bench.fail(`${contender.name}: ${error instanceof Error ? error.stack : error}`);
      }
    }
    return rows;
  },
};
