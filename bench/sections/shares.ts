import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { makePlainPackage } from "../humq/plain.ts";
import { type Client, Site, type Variant } from "../humq/site.ts";
import type { Bench, Figure, Row, Section } from "../section.ts";
import { summarise } from "../statistics.ts";
import { textOf, type Workload } from "../workload.ts";
import { expectExact } from "./throughput.ts";

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

/** One round of a kind: a worker of its own, each load once to get warm and once for the figure. */
async function round(bench: Bench, site: Site, kind: Kind, list: readonly Load[]): Promise<number[]> {
  const worker = await site.worker(bench.slots, kind);
  const wanted = kind.isolation === false ? "none" : "bubblewrap";
  if (kind.isolation === false && worker.isolation !== wanted) throw new Error("isolation could not be switched off");
  const rates: number[] = [];
  for (const { workload, chunkSize } of list) {
    await kind.client.ask("whole", { ...workload, calls: Math.ceil(workload.calls / 3) }, chunkSize);
    const { totalMs, delivery } = await kind.client.ask("whole", workload, chunkSize);
    expectExact(delivery, `${workload.name}, ${kind.label}`);
    rates.push((workload.calls / totalMs) * 1000);
  }
  await worker.stop();
  return rates;
}

/** What switching it off saves, in percent of the time with everything on; run by run. */
function share(label: string, on: readonly number[], off: readonly number[]): Figure {
  const samples = on.map((rate, run) => 100 * (1 - rate / off[run]!));
  return { label, unit: "%", samples };
}

export const shares: Section = {
  name: "shares",
  title: "What encryption and isolation cost",
  method:
    "The same calls, submitted, run and pulled, with everything on, in a copy of humq whose ciphers do nothing, and with a worker that " +
    "finds no bubblewrap. Signatures stay on. The share is what switching off saves of the time; below 0 is noise.",
  async run(bench) {
    const site = await Site.start(bench);
    const root = makePlainPackage(bench.cleanup);
    const list = loads(bench);
    const kinds: Kind[] = [
      { label: "all on", client: site.client() },
      { label: "encryption off", root, client: site.client({ root }) },
      { label: "isolation off", isolation: false, client: site.client() },
    ];
    const rates = kinds.map(() => list.map((): number[] => []));
    for (let run = 1; run <= bench.runs; run++) {
      for (const [k, kind] of kinds.entries()) {
        bench.say(`${kind.label} ${run}/${bench.runs}`);
        for (const [l, rate] of (await round(bench, site, kind, list)).entries()) rates[k]![l]!.push(rate);
      }
    }
    await expectSwitched(bench, site, kinds);
    return list.flatMap(({ workload: { name } }, l): Row[] => {
      const [on, plain, open] = rates.map((ofKind) => ofKind[l]!);
      const rate = (samples: number[]) =>
        `${Math.round(summarise(samples).median).toLocaleString("en")} calls/s without`;
      return [
        { label: `${name}: all on`, unit: "calls/s", samples: on! },
        { ...share(`${name}: encryption's share`, on!, plain!), note: rate(plain!) },
        { ...share(`${name}: isolation's share`, on!, open!), note: rate(open!) },
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
