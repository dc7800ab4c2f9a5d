/**
 * What the server says of a tag's queue. It answers from the account of the tag's owner, and they can answer in its place:
 * the answer may hold anything.
 */
import { BrokerError } from "../errors.ts";
import { concurrencyOf } from "./queue.ts";

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

/** JetStream's code for what is not there. */
const NOT_FOUND = 404;

function count(value: unknown): number {
  return Number.isSafeInteger(value) ? Math.max(0, value as number) : 0;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return Object(value) as Record<string, unknown>;
}

/**
 * @param answer to a request for a consumer's info
 * @returns undefined where the queue does not exist (any more)
 * @throws BrokerError where the answer is an error, or none
 */
export function parseQueueInfo(answer: Uint8Array, tag: string): QueueInfo | undefined {
  let said: Record<string, unknown>;
  try {
    said = fieldsOf(JSON.parse(Buffer.from(answer).toString("utf8")));
  } catch (cause) {
    throw new BrokerError(`the queue of ${tag}: the answer is not one of nats-server's`, { cause });
  }
  if (said.error !== undefined) {
    const { code, description } = fieldsOf(said.error);
    if (code === NOT_FOUND) return undefined;
    throw new BrokerError(
      `the queue of ${tag}: ${typeof description === "string" ? description.slice(0, 500) : "unknown error"}`,
    );
  }
  return {
    pending: count(said.num_pending),
    running: count(said.num_ack_pending),
    concurrency: concurrencyOf(count(fieldsOf(said.config).max_ack_pending)),
    paused: said.paused === true,
  };
}
