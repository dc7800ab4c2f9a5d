/** Changing how many calls of a tag may run at once while it runs. The broker keeps to it: it is a limit of the tag's queue. */
import { setTimeout as delay } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { consumerOf, streamOf } from "../broker/names.ts";
import { concurrencyOf, limitQueue } from "../broker/queue.ts";
import type { TagAccess } from "../tag/access.ts";
import { onQueue, rouseWorkers, whilePaused } from "./pause.ts";

/** How long nothing is given out while workers hear that there is a limit from now on. */
const HEAR_MS = 200;

/** @returns the limit of a tag's queue; 0 for none */
export async function readConcurrency({ session, u, manifest }: TagAccess): Promise<number> {
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  const { config } = await onQueue(manifest.tag, () =>
    manager.consumers.info(streamOf.calls(u), consumerOf(manifest.tag)),
  );
  return concurrencyOf(config.max_ack_pending);
}

/**
 * What runs already goes on to its end, also where it is more than the new limit.
 * @param concurrency messages (chunks) that may be in workers' hands at once; 0 for no limit
 */
export async function changeConcurrency(access: TagAccess, concurrency: number): Promise<void> {
  const { session, u, manifest } = access;
  const { tag } = manifest;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  const { config } = await onQueue(tag, () => manager.consumers.info(streamOf.calls(u), consumerOf(tag)));
  const limit = async () => {
    await onQueue(tag, () => limitQueue(session.nc, u, tag, concurrency));
    await rouseWorkers(access);
  };
  if (concurrency === 0 || concurrencyOf(config.max_ack_pending) > 0) return limit();
  // A worker that does not know of a limit asks in a way that the server does not answer where the limit is met
  // (worker/pull.ts). So nothing is given out until workers have heard of it; a paused queue answers at once.
  await whilePaused(access, async () => {
    await limit();
    await delay(HEAR_MS);
  });
}
