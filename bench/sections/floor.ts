import { join } from "node:path";
import type { FloorClient } from "../floor/client-main.ts";
import { startFloorServer } from "../floor/server.ts";
import { Child } from "../humq/child.ts";
import type { Row, Section } from "../section.ts";

/** About what a sealed call or result of a few bytes takes in humq. */
const MESSAGE_BYTES = 300;

export const floor: Section = {
  name: "floor",
  title: "The floor: nats.js alone, each step by itself",
  method:
    "One process of nats.js on the same nats-server, without accounts: messages of 300 bytes, no keys, no checks, no humq. What humq does to a " +
    "call is two of the stores, one pull and one read.",
  async run(bench) {
    const { url } = await startFloorServer(bench.folder, bench.cleanup);
    const script = join(import.meta.dirname, "../floor/client-main.ts");
    const client = new Child<FloorClient>(script, { env: process.env, args: [url], cleanup: bench.cleanup });
    const count = bench.calls;
    const steps = [
      ["store calls, atomic batches of 1000", (run: string) => client.ask("storeCalls", run, count, MESSAGE_BYTES)],
      ["pull and acknowledge calls", (run: string) => client.ask("pullAndAck", run, count)],
      ["store calls one by one", (run: string) => client.ask("storeCallsSingly", `${run}-s`, count, MESSAGE_BYTES)],
      ["store results, batches of 1000", (run: string) => client.ask("storeResults", run, count, MESSAGE_BYTES)],
      ["read results in order", (run: string) => client.ask("read", run, count)],
      ["store results one by one", (run: string) => client.ask("storeResultsSingly", `${run}-s`, count, MESSAGE_BYTES)],
    ] as const;
    const samples = new Map<string, number[]>(steps.map(([label]) => [label, []]));
    for (let run = bench.firstRun; run <= bench.runs; run++) {
      bench.say(`${run}/${bench.runs}`);
      for (const [label, measure] of steps) {
        const ms = await measure(`run-${run}`);
        if (run > 0) samples.get(label)!.push((count / ms) * 1000);
      }
    }
    return [...samples].map(
      ([label, rates]): Row => ({ label, unit: "calls/s", samples: rates, note: `${count} messages` }),
    );
  },
};
