/** A tag's queue: one durable pull consumer on the stream of calls, named after the tag. */
import { AckPolicy, DeliverPolicy, JetStreamApiError, jetstreamManager, ReplayPolicy } from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { RETENTION_MS } from "./expiry.ts";
import { consumerOf, streamOf, subjectOf } from "./names.ts";
import { ApiCode } from "./publish.ts";

/** A worker that says nothing about a call for this long has lost it. */
export const ACK_WAIT_MS = 12_000;
/** Calls in workers' hands at once where the tag sets no limit; well over any fleet. */
const MAX_ACK_PENDING = 1_000_000;
/** Pull requests that may wait at once, so also how many workers may wait on one tag. */
const MAX_WAITING = 20_000;

function maxAckPending(concurrency: number): number {
  return concurrency === 0 ? MAX_ACK_PENDING : concurrency;
}

/** What a queue's `max_ack_pending` says: messages that may be in workers' hands at once; 0 for no limit. */
export function concurrencyOf(maxAckPending: number | undefined): number {
  return maxAckPending === undefined || maxAckPending < 1 || maxAckPending >= MAX_ACK_PENDING ? 0 : maxAckPending;
}

/**
 * Makes a tag's queue. Where somebody else has made it meanwhile, theirs stays.
 * @param concurrency calls that may run at the same time; 0 for no limit
 * @param retentionMs a queue that nobody has pulled from for so long goes by itself
 * @param from sequence of the first message that it gives out
 */
export async function createQueue(
  nc: NatsConnection,
  u: string,
  tag: string,
  concurrency: number,
  { retentionMs = RETENTION_MS, from = 1 }: { retentionMs?: number; from?: number } = {},
): Promise<void> {
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  const config = {
    durable_name: consumerOf(tag),
    filter_subject: subjectOf.call(u, tag, "*"),
    ack_policy: AckPolicy.Explicit,
    ...(from === 1
      ? { deliver_policy: DeliverPolicy.All }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from }),
    replay_policy: ReplayPolicy.Instant,
    ack_wait: nanos(ACK_WAIT_MS),
    max_ack_pending: maxAckPending(concurrency),
    max_waiting: MAX_WAITING,
    inactive_threshold: nanos(retentionMs),
  };
  try {
    await manager.consumers.add(streamOf.calls(u), config);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== ApiCode.consumerExists) throw error;
  }
}

/** Changes the limit of a queue that is there; it holds from the next message on that is given out. */
export async function limitQueue(nc: NatsConnection, u: string, tag: string, concurrency: number): Promise<void> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.consumers.update(streamOf.calls(u), consumerOf(tag), { max_ack_pending: maxAckPending(concurrency) });
}
