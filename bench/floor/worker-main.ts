/** nats.js alone, as a worker of one slot: pulls, runs in its own process, stores results guarded, then acknowledges. */
import { type JsMsg, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { serve } from "../humq/child.ts";
import { functionOf } from "../humq/functions.ts";
import type { Workload } from "../workload.ts";
import { CALLS, expectFree, type Message, resultSubject, storeBatch, storeSingly } from "./streams.ts";

const nc = await connect({ servers: process.argv[2]! });

/** From so many results at hand an atomic batch costs less than singles. */
const LEAST_BATCH = 100;
const MOST_BATCH = 500;
/** Work to have at hand, in milliseconds of calls, and in calls at most. */
const AHEAD_MS = 50;
const AHEAD_CALLS = 500;

function aheadOf({ ms }: Workload): number {
  return ms === 0 ? AHEAD_CALLS : Math.max(1, Math.min(AHEAD_CALLS, Math.floor(AHEAD_MS / ms)));
}

class Results {
  #run: string;
  #waiting: { message: Message; call: JsMsg }[] = [];
  #storing: Promise<void> = Promise.resolve();
  #isQueued = false;

  constructor(run: string) {
    this.#run = run;
  }

  /** Goes with what comes in the same moment. */
  add(index: number, value: unknown, call: JsMsg): void {
    const message = { subject: resultSubject(this.#run, index), data: Buffer.from(JSON.stringify(value)) };
    this.#waiting.push({ message, call });
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#storing = this.#storing.then(() => this.#store());
  }

  async #store(): Promise<void> {
    // Lets what was delivered already run first.
    await new Promise((resolve) => setImmediate(resolve));
    this.#isQueued = false;
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MOST_BATCH);
      const store = group.length < LEAST_BATCH ? storeSingly : storeBatch;
      await store(
        nc,
        group.map(({ message }) => message),
        expectFree,
      );
      for (const { call } of group) call.ack();
    }
  }

  async end(): Promise<void> {
    await this.#storing;
    await nc.flush();
  }
}

let stop: (() => Promise<void>) | undefined;

const operations = {
  async begin(run: string, workload: Workload): Promise<void> {
    const fn = functionOf(workload);
    const consumer = await jetstream(nc).consumers.get(CALLS, run);
    const pulling = await consumer.consume({ max_messages: aheadOf(workload) });
    const results = new Results(run);
    const done = (async () => {
      for await (const call of pulling) {
        const [index, text] = JSON.parse(call.string()) as [number, string];
        results.add(index, await fn(index, text), call);
      }
    })();
    stop = async () => {
      pulling.stop();
      await done;
      await results.end();
    };
  },

  async end(): Promise<void> {
    await stop?.();
  },
};

export type FloorWorker = typeof operations;

serve(operations);
