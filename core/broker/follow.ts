/** Following a subject of one's own stream: first what is stored from a sequence on, then what comes. */
import { randomUUID } from "node:crypto";
import { AckPolicy, type ConsumerMessages, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";

/** An abandoned consumer goes by itself after this. */
const INACTIVE_MS = 60_000;
/** Bytes on the way at once. */
const WINDOW_BYTES = 16 * 2 ** 20;
const HEARTBEAT_MS = 5_000;
const EXPIRES_MS = 30_000;

export interface Followed {
  subject: string;
  data: Uint8Array;
  seq: number;
  /** Messages on the subject that are stored after this one. */
  pending: number;
}

/** How many messages are stored on `subject` (wildcards allowed) from sequence `from` on: 10 ms per 100,000. */
export async function countStored(nc: NatsConnection, stream: string, subject: string, from = 1): Promise<number> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const name = `count-${randomUUID()}`;
  const info = await manager.consumers.add(stream, consumerConfig(name, subject, from));
  await manager.consumers.delete(stream, name);
  return info.num_pending;
}

/** The sequence of the newest message of a stream; 0 where there never was one. */
export async function lastSequence(nc: NatsConnection, stream: string): Promise<number> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  return (await manager.streams.info(stream)).state.last_seq;
}

function consumerConfig(name: string, subject: string, from: number) {
  return {
    name,
    filter_subject: subject,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, from),
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
    num_replicas: 1,
  } as const;
}

/**
 * Yields batches of messages as they arrive.
 * @param forever go on waiting when all that is stored was seen; else end there
 * @param signal ends it
 */
export async function* follow(
  nc: NatsConnection,
  stream: string,
  subject: string,
  from: number,
  options: { forever: boolean; batch: number; signal?: AbortSignal },
): AsyncGenerator<Followed[]> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const name = `follow-${randomUUID()}`;
  const info = await manager.consumers.add(stream, consumerConfig(name, subject, from));
  if (info.num_pending === 0 && !options.forever) {
    await manager.consumers.delete(stream, name);
    return;
  }
  const consumer = await jetstream(nc, { checkAPI: false }).consumers.get(stream, name);
  const messages = await consumer.consume({
    max_bytes: WINDOW_BYTES,
    idle_heartbeat: HEARTBEAT_MS,
    expires: EXPIRES_MS,
    abort_on_missing_resource: true,
  });
  const stop = () => messages.stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  // It may have been aborted while the consumer was made.
  if (options.signal?.aborted === true) stop();
  try {
    yield* inBatches(messages, options);
  } finally {
    options.signal?.removeEventListener("abort", stop);
    messages.stop();
    if (!nc.isClosed()) await manager.consumers.delete(stream, name).catch(() => undefined);
  }
}

/** Groups what has arrived already, so that nobody waits for a batch to fill. */
async function* inBatches(
  messages: ConsumerMessages,
  options: { forever: boolean; batch: number; signal?: AbortSignal },
): AsyncGenerator<Followed[]> {
  let batch: Followed[] = [];
  for await (const message of messages) {
    const { pending, streamSequence: seq } = message.info;
    batch.push({ subject: message.subject, data: message.data, seq, pending });
    const caughtUp = pending === 0;
    if (batch.length < options.batch && !caughtUp && messages.getPending() > 0) continue;
    yield batch;
    batch = [];
    if ((caughtUp && !options.forever) || options.signal?.aborted === true) return;
  }
  if (batch.length > 0) yield batch;
}
