import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Cleanup } from "../cleanup.ts";
import { expectExact } from "../delivery.ts";
import { Site } from "../humq/site.ts";
import { peakMemoryOf } from "../processes.ts";
import type { Bench, Figure, Row, Section } from "../section.ts";
import { drainMs, emptyCalls, SMALL_BYTES } from "./throughput.ts";

interface Size {
  readonly calls: number;
  readonly chunkSize: number;
}

/** With fewer calls, what a server takes anyway for its caches hides what a call takes. */
const LEAST_FOR_PER_CALL = 100_000;

function sizes({ smoke, huge }: Bench): Size[] {
  const single = smoke ? [] : [10_000, 100_000];
  const chunked = smoke ? [500] : [10_000, 100_000, 1_000_000, ...(huge ? [10_000_000] : [])];
  return [...single.map((calls) => ({ calls, chunkSize: 1 })), ...chunked.map((calls) => ({ calls, chunkSize: 100 }))];
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

function megabytes(label: string, value: number | undefined, more: Partial<Figure> = {}): Row {
  if (value === undefined) return { label, skipped: "only /proc says how much memory a process held at most" };
  return { label, unit: "MB", samples: [value], ...more };
}

/** A tag of that size, from submit to archive, with a server, a client and a worker of its own. */
async function measure(bench: Bench, { calls, chunkSize }: Size): Promise<Row[]> {
  const what = `${calls.toLocaleString("en")} calls, ${chunkSize === 1 ? "one a message" : `chunkSize ${chunkSize}`}`;
  bench.say(what);
  const folder = join(bench.folder, `${calls}-${chunkSize}`);
  mkdirSync(folder);
  const own = new Cleanup();
  const end = bench.cleanup.add(() => own.run());
  const site = await Site.start({ folder, signal: bench.signal, cleanup: own });
  const idle = peakMemoryOf(site.serverPid);
  const client = site.client();
  const { tag } = await client.ask("submitGenerated", emptyCalls(calls, bench.slots), chunkSize);
  await client.ask("pause", tag);
  const worker = await site.worker(bench.slots);
  await drainMs(client, tag, calls, bench.signal);
  const { delivery } = await client.ask("pull", tag, SMALL_BYTES);
  expectExact(delivery, what);
  const peaks = { client: peakMemoryOf(client.pid), worker: peakMemoryOf(worker.pid) };
  const server = peakMemoryOf(site.serverPid);
  const stored = bytesIn(site.storeFolder);
  await end();
  const rows = [
    megabytes(`${what}: client`, peaks.client, { budget: "clientMemory" }),
    megabytes(`${what}: worker`, peaks.worker, { budget: "workerMemory" }),
    megabytes(`${what}: server`, server),
  ];
  if (server !== undefined && idle !== undefined && calls >= LEAST_FOR_PER_CALL) {
    const samples = [((server - idle) * 1e6) / calls];
    rows.push({ label: `${what}: server, a call above idle`, unit: "bytes", samples, budget: "serverBytes" });
  }
  rows.push({ label: `${what}: server's files, a call`, unit: "bytes", samples: [stored / calls] });
  return rows;
}

export const memory: Section = {
  name: "memory",
  title: "Memory of client, worker and server by the size of a tag",
  method:
    "The most that each process held (its own, executors apart), from submit (from a generator) to archive; a server, a client and a worker of its own for each " +
    "size. One run each.",
  async run(bench) {
    const rows: Row[] = [];
    for (const size of sizes(bench)) rows.push(...(await measure(bench, size)));
    return rows;
  },
};
