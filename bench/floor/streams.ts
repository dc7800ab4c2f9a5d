/** What nats.js needs to do what humq does with streams, and nothing beside it: no keys, no checks, no bookkeeping. */
import { AckPolicy, DiscardPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";

export const CALLS = "FLOOR_CALLS";
export const RESULTS = "FLOOR_RESULTS";

export const callSubject = (run: string, index: number | "*") => `floor.call.${run}.${index}`;
export const resultSubject = (run: string, index: number | "*") => `floor.result.${run}.${index}`;

/** Calls write-once, results guarded: as humq's streams are. */
export async function makeStreams(nc: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(nc);
  const common = { max_msgs_per_subject: 1, allow_atomic: true, allow_direct: true, max_consumers: 1000 };
  await jsm.streams.add({
    ...common,
    name: CALLS,
    subjects: ["floor.call.>"],
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
  });
  await jsm.streams.add({ ...common, name: RESULTS, subjects: ["floor.result.>"] });
}

/** The queue of a run: a durable pull consumer. */
export async function makeQueue(nc: NatsConnection, run: string): Promise<void> {
  const jsm = await jetstreamManager(nc);
  await jsm.consumers.add(CALLS, {
    durable_name: run,
    filter_subject: callSubject(run, "*"),
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 1_000_000,
  });
}

export interface Message {
  subject: string;
  data: Uint8Array;
}

/** Lets a message in only where its subject is free: the first write wins. */
export function expectFree(): MsgHdrs {
  const guard = headers();
  guard.set("Nats-Expected-Last-Subject-Sequence", "0");
  return guard;
}

const NO_GUARD = () => headers();
let batches = 0;

function checkAnswer(data: Uint8Array): void {
  if (data.length === 0) return;
  const { error } = JSON.parse(Buffer.from(data).toString()) as { error?: { description: string } };
  if (error !== undefined) throw new Error(`nats-server: ${error.description}`);
}

const TIMEOUT_MS = 10_000;

/** One atomic batch (ADR-50), at most 1000 messages. */
export async function storeBatch(nc: NatsConnection, messages: readonly Message[], guard = NO_GUARD): Promise<void> {
  const id = `${process.pid}-${++batches}`;
  const answers: Promise<{ data: Uint8Array }>[] = [];
  for (const [i, { subject, data }] of messages.entries()) {
    const of = guard();
    of.set("Nats-Batch-Id", id);
    of.set("Nats-Batch-Sequence", String(i + 1));
    const isLast = i === messages.length - 1;
    if (isLast) of.set("Nats-Batch-Commit", "1");
    if (isLast || i === 0) answers.push(nc.request(subject, data, { headers: of, timeout: TIMEOUT_MS }));
    else nc.publish(subject, data, { headers: of });
  }
  for (const { data } of await Promise.all(answers)) checkAnswer(data);
}

/** Each by itself, all under way at once. */
export async function storeSingly(nc: NatsConnection, messages: readonly Message[], guard = NO_GUARD): Promise<void> {
  const js = jetstream(nc);
  await Promise.all(
    messages.map(({ subject, data }) => js.publish(subject, data, { headers: guard(), timeout: TIMEOUT_MS })),
  );
}
