/** A tag's queue as the broker tells a worker. */
import type { NatsConnection } from "@nats-io/transport-node";
import { consumerOf, IMPORTED_API, streamOf } from "../core/broker/names.ts";
import { concurrencyOf } from "../core/broker/queue.ts";
import { BrokerError } from "../core/errors.ts";

const REQUEST_TIMEOUT_MS = 5_000;

/** State of a tag's queue, as the server counts it. */
export interface QueueInfo {
  /** Messages that nobody has. */
  pending: number;
  /** Messages in the hands of workers. */
  running: number;
  /** Messages that may be in the hands of workers at once; 0 for no limit. It can change while the tag runs. */
  concurrency: number;
  paused: boolean;
}

interface Answer {
  error?: { code?: number; description?: string };
  num_pending?: number;
  num_ack_pending?: number;
  paused?: boolean;
  config?: { max_ack_pending?: number };
}

/** @returns undefined where the queue does not exist (any more) */
export async function readQueue(nc: NatsConnection, u: string, tag: string): Promise<QueueInfo | undefined> {
  const subject = `${IMPORTED_API}.CONSUMER.INFO.${streamOf.calls(u)}.${consumerOf(tag)}`;
  const reply = await nc.request(subject, "", { timeout: REQUEST_TIMEOUT_MS });
  const { error, num_pending, num_ack_pending, paused, config } = reply.json<Answer>();
  if (error?.code === 404) return undefined;
  if (error !== undefined) throw new BrokerError(`the queue of ${tag}: ${error.description ?? "unknown error"}`);
  return {
    pending: num_pending ?? 0,
    running: num_ack_pending ?? 0,
    concurrency: concurrencyOf(config?.max_ack_pending),
    paused: paused === true,
  };
}
