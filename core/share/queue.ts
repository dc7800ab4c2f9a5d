/** How far the queue of somebody else's tag is. */
import { IMPORTED_API, streamOf } from "../broker/names.ts";
import { concurrencyOf } from "../broker/queue.ts";
import { queueOperation } from "../broker/reader-subjects.ts";
import { BrokerError } from "../errors.ts";
import type { SharedAccess } from "./access.ts";

const TIMEOUT_MS = 10_000;

export interface SharedQueue {
  /** Messages (chunks) that no worker has yet. */
  pending: number;
  /** Messages (chunks) in the hands of workers. */
  running: number;
  paused: boolean;
  /** Messages that may be in the hands of workers at once; 0 for no limit. */
  concurrency: number;
}

/** @returns undefined where there is no queue (any more) */
export async function readQueue({ nc, u, manifest }: SharedAccess): Promise<SharedQueue | undefined> {
  const { tag } = manifest;
  let said: unknown;
  try {
    const answer = await nc.request(`${IMPORTED_API}.${queueOperation(u, tag)}`, "", { timeout: TIMEOUT_MS });
    said = answer.json();
  } catch (cause) {
    throw new BrokerError(`cannot read the queue of ${tag} in ${streamOf.calls(u)}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const info = said as {
    error?: unknown;
    num_pending?: number;
    num_ack_pending?: number;
    paused?: boolean;
    config?: { max_ack_pending?: number };
  };
  if (info.error !== undefined) return undefined;
  return {
    pending: Number(info.num_pending ?? 0),
    running: Number(info.num_ack_pending ?? 0),
    paused: info.paused === true,
    concurrency: concurrencyOf(info.config?.max_ack_pending),
  };
}
