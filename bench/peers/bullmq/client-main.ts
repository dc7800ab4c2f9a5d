/** `node client-main.ts FOLDER SOCKET`: BullMQ's producer, and the listener to what its jobs give back. */

import type { Run } from "../../contender.ts";
import { DeliveryCheck } from "../../delivery.ts";
import { textOf, type Workload } from "../../workload.ts";
import { serveLines } from "../support/serve.ts";
import { connection, loadBullMQ, type NewJob, QUEUE } from "./api.ts";

/** One `addBulk` is one transaction; larger ones were not faster, and block Redis for longer. */
const BULK = 1000;
/** All events of the largest run stay readable, however late the listener is. */
const MOST_EVENTS = 1_000_000;

const [folder = "", socket = ""] = process.argv.slice(2);
const { Queue, QueueEvents } = loadBullMQ(folder);
const queue = new Queue(QUEUE, { connection: connection(socket), streams: { events: { maxLen: MOST_EVENTS } } });
const events = new QueueEvents(QUEUE, { connection: connection(socket) });

/** Redis numbers jobs from 1, in the order in which this only producer adds them. */
let before = 0;
let check = new DeliveryCheck(0, 0);
let finished: PromiseWithResolvers<void> = Promise.withResolvers();
let calls = 0;
events.on("completed", ({ jobId, returnvalue }) => {
  check.take(Number(jobId) - before - 1, returnvalue);
  if (check.count === calls) finished.resolve();
});
events.on("failed", ({ failedReason }) => finished.reject(new Error(`a job failed: ${failedReason}`)));

async function run(workload: Workload): Promise<Run> {
  const { work, ms, payloadBytes } = workload;
  calls = workload.calls;
  check = new DeliveryCheck(calls, payloadBytes);
  finished = Promise.withResolvers();
  finished.promise.catch(() => undefined);
  const began = performance.now();
  for (let from = 0; from < calls; from += BULK) {
    const jobs: NewJob[] = [];
    for (let index = from; index < Math.min(calls, from + BULK); index++) {
      const data = [index, textOf(index, payloadBytes)] as const;
      jobs.push({ name: `${work} ${ms}`, data, opts: { removeOnComplete: true } });
    }
    await queue.addBulk(jobs);
  }
  const submitMs = performance.now() - began;
  await finished.promise;
  const totalMs = performance.now() - began;
  before += calls;
  return { submitMs, totalMs, delivery: check.end() };
}

serveLines({
  async ready() {
    await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  },
  run,
  async latencies({ count, payloadBytes }) {
    const one: Workload = { name: "no-op", calls: 1, work: "nothing", ms: 0, payloadBytes, slots: 1 };
    const taken: number[] = [];
    for (let i = 0; i < count; i++) taken.push((await run(one)).totalMs);
    return taken;
  },
});
