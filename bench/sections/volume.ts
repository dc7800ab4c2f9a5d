import { expectExact } from "../delivery.ts";
import { Site } from "../humq/site.ts";
import type { Bench, Figure, Row, Section } from "../section.ts";

interface Size {
  readonly label: string;
  readonly bytes: number;
  /** So many that a run moves some hundred megabytes; small results cost by the call, not by the byte. */
  readonly calls: number;
  readonly more?: Pick<Figure, "budget">;
}

const SIZES: readonly Size[] = [
  { label: "1 KB", bytes: 1000, calls: 10_000 },
  { label: "64 KB", bytes: 64_000, calls: 2000 },
  { label: "1 MB", bytes: 1_000_000, calls: 200, more: { budget: "volume" } },
  { label: "64 MB", bytes: 64_000_000, calls: 4 },
];

async function measure(bench: Bench, site: Site): Promise<Row[]> {
  const client = site.client();
  await site.worker(bench.slots);
  const rows: Row[] = [];
  for (const { label, bytes, calls, more } of SIZES) {
    const count = bench.smoke ? 1 : calls;
    const samples: number[] = [];
    for (let run = bench.firstRun; run <= bench.runs; run++) {
      bench.say(`${label} ${run}/${bench.runs}`);
      const { ms, delivery } = await client.ask("volume", count, bytes);
      expectExact(delivery, `results of ${label}`);
      if (run > 0) samples.push((count * bytes) / 1e6 / (ms / 1000));
    }
    rows.push({ label: `results of ${label}`, unit: "MB/s", samples, note: `${count} calls`, ...more });
  }
  return rows;
}

export const volume: Section = {
  name: "volume",
  title: "Large results, from the executors into the archive",
  method:
    "Calls whose results are bytes of one size; from the first call recorded until all results are filed in the archive.",
  async run(bench) {
    return measure(bench, await Site.start(bench));
  },
};
