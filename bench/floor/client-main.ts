/** nats.js alone, as the submitter: stores calls, reads results. The server's address is the first argument. */
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { DeliveryCheck } from "../delivery.ts";
import { serve } from "../humq/child.ts";
import { textOf, type Workload } from "../workload.ts";
import {
  CALLS,
  callSubject,
  expectFree,
  type Message,
  makeQueue,
  makeStreams,
  RESULTS,
  resultSubject,
  storeBatch,
  storeSingly,
} from "./streams.ts";

const nc = await connect({ servers: process.argv[2]! });
await makeStreams(nc);

const BATCH = 1000;
/** Publishes under way at once. */
const WINDOW = 1000;

function* messages(subject: typeof callSubject, run: string, count: number, bytes: number): Generator<Message> {
  for (let index = 0; index < count; index++) {
    yield { subject: subject(run, index), data: Buffer.from(JSON.stringify([index, textOf(index, bytes)])) };
  }
}

async function inGroups(
  list: Iterable<Message>,
  size: number,
  store: (group: Message[]) => Promise<void>,
): Promise<number> {
  const began = performance.now();
  let group: Message[] = [];
  for (const message of list) {
    group.push(message);
    if (group.length < size) continue;
    await store(group);
    group = [];
  }
  if (group.length > 0) await store(group);
  return performance.now() - began;
}

async function readResults(run: string, calls: number, payloadBytes: number) {
  const check = new DeliveryCheck(calls, payloadBytes);
  const consumer = await jetstream(nc).consumers.get(RESULTS, {
    filter_subjects: [resultSubject(run, "*")],
    deliver_policy: DeliverPolicy.All,
  });
  const reading = await consumer.consume({ max_messages: 2000 });
  for await (const message of reading) {
    check.take(Number(message.subject.split(".")[3]), JSON.parse(message.string()));
    if (check.count >= calls) break;
  }
  return check.end();
}

const operations = {
  /** Milliseconds for `count` messages in atomic batches of 1000. */
  async storeCalls(run: string, count: number, bytes: number): Promise<number> {
    return inGroups(messages(callSubject, run, count, bytes), BATCH, (group) => storeBatch(nc, group));
  },

  async storeCallsSingly(run: string, count: number, bytes: number): Promise<number> {
    return inGroups(messages(callSubject, run, count, bytes), WINDOW, (group) => storeSingly(nc, group));
  },

  async storeResults(run: string, count: number, bytes: number): Promise<number> {
    const list = messages(resultSubject, run, count, bytes);
    return inGroups(list, BATCH, (group) => storeBatch(nc, group, expectFree));
  },

  async storeResultsSingly(run: string, count: number, bytes: number): Promise<number> {
    const list = messages(resultSubject, run, count, bytes);
    return inGroups(list, WINDOW, (group) => storeSingly(nc, group, expectFree));
  },

  /** Pulls and acknowledges all calls of a run. */
  async pullAndAck(run: string, count: number): Promise<number> {
    await makeQueue(nc, run);
    const consumer = await jetstream(nc).consumers.get(CALLS, run);
    const began = performance.now();
    const pulling = await consumer.consume({ max_messages: 1000 });
    let taken = 0;
    for await (const message of pulling) {
      message.ack();
      if (++taken === count) break;
    }
    await nc.flush();
    return performance.now() - began;
  },

  /** Reads all results of a run in order. */
  async read(run: string, count: number): Promise<number> {
    const consumer = await jetstream(nc).consumers.get(RESULTS, { filter_subjects: [resultSubject(run, "*")] });
    const began = performance.now();
    const reading = await consumer.consume({ max_messages: 2000 });
    let taken = 0;
    for await (const _ of reading) if (++taken === count) break;
    return performance.now() - began;
  },

  async makeQueue(run: string): Promise<void> {
    await makeQueue(nc, run);
  },

  /** Stores the calls while workers work, and reads the results as they come. */
  async whole(run: string, { calls, payloadBytes }: Workload) {
    const began = performance.now();
    const reading = readResults(run, calls, payloadBytes);
    const submitMs = await inGroups(messages(callSubject, run, calls, payloadBytes), BATCH, (group) =>
      storeBatch(nc, group),
    );
    const delivery = await reading;
    return { submitMs, totalMs: performance.now() - began, delivery };
  },
};

export type FloorClient = typeof operations;

serve(operations);
