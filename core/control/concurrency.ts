/** Changing how many calls of a tag may run at once while it runs. The broker keeps to it: it is a limit of the tag's queue. */
import { setTimeout as delay } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { consumerOf, streamOf } from "../broker/names.ts";
import { concurrencyOf, limitQueue } from "../broker/queue.ts";
import type { TagAccess } from "../tag/access.ts";
import { onQueue, rouseWorkers } from "./pause.ts";

/** How long nothing is given out while workers hear that there is a limit from now on. */
const HEAR_MS = 200;
/** Where this process ends within that time, the tag goes on by itself after this. */
const PAUSE_MOST_MS = 10_000;

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
  const queue = () => manager.consumers.info(streamOf.calls(u), consumerOf(tag));
  const { config, paused } = await onQueue(tag, queue);
  const limit = () => onQueue(tag, () => limitQueue(session.nc, u, tag, concurrency));
  if (concurrency === 0 || concurrencyOf(config.max_ack_pending) > 0 || paused === true) {
    await limit();
    await rouseWorkers(access);
    return;
  }
  // A worker that does not know of a limit asks in a way that the server does not answer where the limit is met
  // (worker/pull.ts). So nothing is given out until workers have heard of it; a paused queue answers at once.
  const until = new Date(Date.now() + PAUSE_MOST_MS);
  await onQueue(tag, () => manager.consumers.pause(streamOf.calls(u), consumerOf(tag), until));
  await limit();
  await rouseWorkers(access);
  await delay(HEAR_MS);
  const now = await onQueue(tag, queue);
  // Where somebody has paused it meanwhile it stays so.
  if (Date.parse(now.config.pause_until ?? "") !== until.getTime()) return;
  await onQueue(tag, () => manager.consumers.resume(streamOf.calls(u), consumerOf(tag)));
  await rouseWorkers(access);
}
