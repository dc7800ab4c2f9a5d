import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expectExact } from "../delivery.ts";
import { makePlainPackage } from "../humq/plain.ts";
import { type Client, Site, type Variant } from "../humq/site.ts";
import type { Bench, Figure, Row, Section } from "../section.ts";
import { summarise } from "../statistics.ts";
import { textOf, type Workload } from "../workload.ts";
import { cpuBy } from "./throughput.ts";

interface Kind extends Variant {
  readonly label: string;
  readonly client: Client;
}

interface Load {
  readonly workload: Workload;
  readonly chunkSize: number;
}

function loads({ calls, slots, smoke }: Bench): Load[] {
  const empty = { work: "nothing", ms: 0, slots } as const;
  return [
    { workload: { ...empty, name: "no-op", calls: Math.ceil(calls / 3), payloadBytes: 16 }, chunkSize: 1 },
    { workload: { ...empty, name: "no-op, chunkSize 100", calls, payloadBytes: 16 }, chunkSize: 100 },
    {
      workload: { ...empty, name: "64 KB in, 64 KB out", calls: smoke ? 10 : 500, payloadBytes: 64_000 },
      chunkSize: 1,
    },
  ];
}

/** Whether a call's text lies readable in the broker's files. */
function isReadable(storeFolder: string): boolean {
  const text = Buffer.from(textOf(7, 16));
  const files = readdirSync(storeFolder, { recursive: true, encoding: "utf8" });
  return files.some((name) => name.endsWith(".blk") && readFileSync(join(storeFolder, name)).includes(text));
}

interface Found {
  /** Calls a second. */
  readonly rate: number;
  /** Microseconds of processor time a call, all processes together. */
  readonly cpu: number;
}

/** One round of a kind: a worker of its own, each load once with fewer calls to get warm and once for the figure. */
async function round(bench: Bench, site: Site, kind: Kind, list: readonly Load[]): Promise<Found[]> {
  const worker = await site.worker(bench.slots, kind);
  const wanted = kind.isolation === false ? "none" : "bubblewrap";
  if (kind.isolation === false && worker.isolation !== wanted) throw new Error("isolation could not be switched off");
  const pids = { client: kind.client.pid, server: site.serverPid, worker: worker.pid };
  const used = () => Object.values(cpuBy(pids)).reduce((sum, us) => sum + us, 0);
  const found: Found[] = [];
  for (const { workload, chunkSize } of list) {
    if (!bench.smoke) await kind.client.ask("whole", { ...workload, calls: Math.ceil(workload.calls / 3) }, chunkSize);
    const before = used();
    const { totalMs, delivery } = await kind.client.ask("whole", workload, chunkSize);
    expectExact(delivery, `${workload.name}, ${kind.label}`);
    const { calls } = workload;
    found.push({ rate: (calls / totalMs) * 1000, cpu: (used() - before) / calls });
  }
  await worker.stop();
  return found;
}

/** What switching it off saves, in percent of the processor time with everything on; run by run. */
function share(label: string, on: readonly Found[], off: readonly Found[]): Figure {
  const samples = on.map(({ cpu }, run) => 100 * (1 - off[run]!.cpu / cpu));
  const rate = Math.round(summarise(off.map((each) => each.rate)).median).toLocaleString("en");
  return { label, unit: "%", samples, note: `${rate} calls/s without` };
}

export const shares: Section = {
  name: "shares",
  title: "What encryption and isolation cost",
  method:
    "The same calls, submitted, run and pulled, with everything on, in a copy of humq whose ciphers do nothing, and with a worker that " +
    "finds no bubblewrap. Signatures stay on. The share is of the processor time of all processes; below 0 is noise.",
  async run(bench) {
    const site = await Site.start(bench);
    const root = makePlainPackage(bench.cleanup);
    const list = loads(bench);
    const kinds: Kind[] = [
      { label: "all on", client: site.client() },
      { label: "encryption off", root, client: site.client({ root }) },
      { label: "isolation off", isolation: false, client: site.client() },
    ];
    const found = kinds.map(() => list.map((): Found[] => []));
    for (let run = 1; run <= bench.runs; run++) {
      for (const [k, kind] of kinds.entries()) {
        bench.say(`${kind.label} ${run}/${bench.runs}`);
        for (const [l, each] of (await round(bench, site, kind, list)).entries()) found[k]![l]!.push(each);
      }
    }
    await expectSwitched(bench, site, kinds);
    return list.flatMap(({ workload: { name } }, l): Row[] => {
      const [on, plain, open] = found.map((ofKind) => ofKind[l]!);
      return [
        { label: `${name}: all on`, unit: "calls/s", samples: on!.map(({ rate }) => rate) },
        { label: `${name}: processor time a call`, unit: "us", samples: on!.map(({ cpu }) => cpu) },
        share(`${name}: encryption's share`, on!, plain!),
        share(`${name}: isolation's share`, on!, open!),
      ];
    });
  },
};

/** What is on the broker is sealed where encryption is on, and readable where it is off: else the figures mean nothing. */
async function expectSwitched(bench: Bench, site: Site, [on, plain]: readonly Kind[]): Promise<void> {
  const workload: Workload = { name: "", calls: 64, work: "nothing", ms: 0, payloadBytes: 16, slots: bench.slots };
  await on!.client.ask("submit", workload, 1);
  const readableBefore = isReadable(site.storeFolder);
  await plain!.client.ask("submit", workload, 1);
  if (readableBefore) throw new Error("with encryption on, calls lie readable on the broker");
  if (!isReadable(site.storeFolder)) throw new Error("encryption could not be switched off");
}
