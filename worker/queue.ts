/** A tag's queue as the broker tells a worker. */
import type { NatsConnection } from "@nats-io/transport-node";
import { consumerOf, IMPORTED_API, streamOf } from "../core/broker/names.ts";
import { parseQueueInfo, type QueueInfo } from "../core/broker/queue-info.ts";

export type { QueueInfo };

const REQUEST_TIMEOUT_MS = 5_000;

/** @returns undefined where the queue does not exist (any more) */
export async function readQueue(nc: NatsConnection, u: string, tag: string): Promise<QueueInfo | undefined> {
  const subject = `${IMPORTED_API}.CONSUMER.INFO.${streamOf.calls(u)}.${consumerOf(tag)}`;
  const reply = await nc.request(subject, "", { timeout: REQUEST_TIMEOUT_MS });
  return parseQueueInfo(reply.data, tag);
}
