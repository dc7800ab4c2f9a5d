/** How far the queue of somebody else's tag is. */
import type { Msg } from "@nats-io/transport-node";
import { IMPORTED_API, streamOf } from "../broker/names.ts";
import { parseQueueInfo, type QueueInfo } from "../broker/queue-info.ts";
import { queueOperation } from "../broker/reader-subjects.ts";
import { BrokerError } from "../errors.ts";
import type { SharedAccess } from "./access.ts";

const TIMEOUT_MS = 10_000;

/** @returns undefined where there is no queue (any more) */
export async function readQueue({ nc, u, manifest }: SharedAccess): Promise<QueueInfo | undefined> {
  const { tag } = manifest;
  let answer: Msg;
  try {
    answer = await nc.request(`${IMPORTED_API}.${queueOperation(u, tag)}`, "", { timeout: TIMEOUT_MS });
  } catch (cause) {
    throw new BrokerError(`cannot read the queue of ${tag} in ${streamOf.calls(u)}: ${(cause as Error).message}`, {
      cause,
    });
  }
  return parseQueueInfo(answer.data, tag);
}
