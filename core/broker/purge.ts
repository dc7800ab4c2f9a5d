/** Removing what a stream holds on a subject, for good: no marker is left. */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { countStored } from "./follow.ts";

/** The server takes 2 s for a million; a step must end well before the answer is given up. */
const STEP_MESSAGES = 500_000;
const STEP_TIMEOUT_MS = 60_000;

export function purgeManager(nc: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(nc, { checkAPI: false, timeout: STEP_TIMEOUT_MS });
}

/**
 * Removes all messages on `subject` (wildcards allowed), in steps.
 * @returns how many there were
 */
export async function purge(nc: NatsConnection, stream: string, subject: string): Promise<number> {
  const manager = await purgeManager(nc);
  const stored = await countStored(nc, stream, subject);
  let purged = 0;
  if (stored > STEP_MESSAGES) {
    const { first_seq: from, last_seq: to } = (await manager.streams.info(stream)).state;
    for (let seq = from + STEP_MESSAGES; seq <= to; seq += STEP_MESSAGES) {
      purged += (await manager.streams.purge(stream, { filter: subject, seq })).purged;
    }
  }
  return purged + (await manager.streams.purge(stream, { filter: subject })).purged;
}
