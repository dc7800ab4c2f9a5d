import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client, type Tag, task } from "../../core/index.ts";
import { type Embedded, startEmbedded } from "../../core/instance/up.ts";
import { Child } from "../humq/child.ts";
import { cpuOf } from "../processes.ts";
import type { Bench, Row, Section } from "../section.ts";
import type { LightWorkers } from "./light-workers.ts";
import { residentMb } from "./resident.ts";

const LOOK_MS = 200;
/** The server is watched for so long while nobody has anything to do. */
const IDLE_MS = 10_000;

interface Size {
  workers: number;
  processes: number;
  tags: number;
  /** Of each tag. */
  calls: number;
  callMs: number;
}

const FULL: Size = { workers: 1000, processes: 4, tags: 100, calls: 100, callMs: 1000 };
const SMOKE: Size = { workers: 12, processes: 1, tags: 4, calls: 6, callMs: 50 };

/** How the ended calls are spread over tags while they are being worked on. */
interface Spread {
  least: number;
  most: number;
}

async function submitAll({ tags, calls }: Size): Promise<Tag<number>[]> {
  const work = task((index: number) => index, { name: "fleet" });
  const submitted: Tag<number>[] = [];
  for (let tag = 0; tag < tags; tag++) {
    for (let index = 0; index < calls; index++) work(index);
    submitted.push(await work.submit({ quiet: true }));
  }
  return submitted;
}

/** Waits for all, and looks once how far each tag is when half of all calls have ended. */
async function drained(bench: Bench, tags: readonly Tag<number>[], calls: number): Promise<Spread> {
  await using client = await Client.open();
  let spread: Spread | undefined;
  for (let ended = 0; ended < tags.length * calls; ) {
    await delay(LOOK_MS, undefined, { signal: bench.signal });
    const found = (await client.statuses()).filter(({ tag }) => tags.some(({ name }) => name === tag));
    const each = found.map(({ succeeded }) => succeeded);
    ended = each.reduce((sum, one) => sum + one, 0);
    if (ended * 2 >= tags.length * calls) spread ??= { least: Math.min(...each), most: Math.max(...each) };
  }
  return spread ?? { least: calls, most: calls };
}

async function check(tags: readonly Tag<number>[]): Promise<void> {
  for (const tag of tags) {
    if ((await tag.pull({ quiet: true })) !== 0) throw new Error(`${tag.name}: results are missing`);
    let index = 0;
    for await (const value of tag.results()) {
      if (value !== index) throw new Error(`${tag.name}: call ${index} gave ${value}`);
      index++;
    }
    await tag.delete();
  }
}

class Fleet {
  readonly #bench: Bench;
  readonly #children: Child<LightWorkers>[] = [];
  embedded: Embedded;

  constructor(bench: Bench, embedded: Embedded) {
    this.#bench = bench;
    this.embedded = embedded;
  }

  async start({ workers, processes, callMs }: Size): Promise<void> {
    const script = join(import.meta.dirname, "light-workers.ts");
    const { cleanup } = this.#bench;
    for (let i = 0; i < processes; i++)
      this.#children.push(new Child<LightWorkers>(script, { env: process.env, cleanup }));
    const each = Math.ceil(workers / processes);
    await Promise.all(this.#children.map((child) => child.ask("start", each, 1, callMs)));
  }

  /** Megabytes of all processes of workers. */
  async memoryMb(): Promise<number> {
    const each = await Promise.all(this.#children.map((child) => child.ask("memory")));
    return each.reduce((sum, one) => sum + one, 0);
  }

  /** Microseconds of processor time so far. */
  cpu(): { server: number; workers: number } {
    const workers = this.#children.reduce((sum, { pid }) => sum + cpuOf(pid), 0);
    return { server: cpuOf(this.embedded.server.pid), workers };
  }
}

async function measure(bench: Bench, size: Size): Promise<Row[]> {
  const home = join(bench.folder, "home");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  process.env.HUMQ_HOME = home;
  process.env.HUMQ_INSTANCE = "bench";
  const up = () => startEmbedded({ worker: false, instance: "bench", signal: bench.signal });
  const fleet = new Fleet(bench, await up());
  bench.cleanup.add(() => fleet.embedded.stop());
  const what = `${size.workers} workers`;
  const rows: Row[] = [];
  const add = (label: string, unit: "s" | "MB" | "%" | "us" | "", value: number, note?: string) => {
    bench.say(`${label}: ${value.toFixed(2)} ${unit}${note === undefined ? "" : ` (${note})`}`);
    rows.push({ label, unit, samples: [value], ...(note === undefined ? {} : { note }) });
  };
  const bare = residentMb(fleet.embedded.server.pid);
  let began = performance.now();
  await fleet.start(size);
  add(`${what} start and connect`, "s", (performance.now() - began) / 1000, "all on this machine's cores");
  add(`${what}: memory of the server`, "MB", residentMb(fleet.embedded.server.pid) - bare, "beside what it has anyway");
  add(`${what}: memory of one`, "MB", (await fleet.memoryMb()) / size.workers, "without executors");
  const watch = async (ms: number) => {
    const before = fleet.cpu();
    await delay(ms, undefined, { signal: bench.signal });
    const after = fleet.cpu();
    return { server: (after.server - before.server) / ms / 10, workers: (after.workers - before.workers) / ms / 10 };
  };
  const idle = await watch(bench.smoke ? 500 : IDLE_MS);
  add(
    `${what}, idle: processor of the server`,
    "%",
    idle.server,
    `of one core; of all workers ${idle.workers.toFixed(0)} %`,
  );
  const { tags: count, calls, callMs } = size;
  const busy = async (label: string) => {
    const before = fleet.cpu();
    began = performance.now();
    const tags = await submitAll(size);
    const { least, most } = await drained(bench, tags, calls);
    const tookMs = performance.now() - began;
    const after = fleet.cpu();
    const ideal = Math.ceil((count * calls) / size.workers) * callMs;
    add(`${label}: ${count} tags of ${calls} calls of ${callMs} ms`, "s", tookMs / 1000, `ideal ${ideal / 1000} s`);
    add(
      `${label}: server, a call`,
      "us",
      (after.server - before.server) / (count * calls),
      `workers ${((after.workers - before.workers) / (count * calls)).toFixed(0)}`,
    );
    add(
      `${label}: least done of a tag, of the most done`,
      "%",
      (100 * least) / Math.max(1, most),
      `at half time: ${least} to ${most} of ${calls}`,
    );
    await check(tags);
  };
  await busy(what);
  const beforeStop = fleet.cpu();
  await fleet.embedded.stop();
  fleet.embedded = await up();
  began = performance.now();
  const again = { ...size, tags: 1, calls: 1 };
  const [first] = await submitAll(again);
  await first!.pull({ blocking: true, quiet: true });
  add(`${what}: first result after a restart of the server`, "s", (performance.now() - began) / 1000);
  const settled = await watch(bench.smoke ? 500 : IDLE_MS);
  add(
    `${what}: processor of the server in the ${IDLE_MS / 1000} s after`,
    "%",
    settled.server,
    `of one core; of all workers ${settled.workers.toFixed(0)} %`,
  );
  add(
    `${what}: workers' processor time since the stop, each`,
    "us",
    (fleet.cpu().workers - beforeStop.workers) / size.workers,
  );
  return rows;
}

export const fleet: Section = {
  name: "fleet",
  title: "Many workers on one server",
  method:
    "Workers with connections, audit logs and pulls of their own, in a few processes; their calls only wait, so that the machine's cores are " +
    "the server's and the workers'.",
  run: (bench) => measure(bench, bench.smoke ? SMOKE : FULL),
};
