/** Pausing a tag: the broker gives out no more of its calls; those that run go on to their end. */
import { JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { recordExpiry } from "../broker/expiry.ts";
import { consumerOf, streamOf, subjectOf } from "../broker/names.ts";
import { ApiCode, expectLast, isTaken, publish } from "../broker/publish.ts";
import { InstanceError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";

/** @throws InstanceError where the tag has no queue (any more) */
export async function onQueue<T>(tag: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== ApiCode.consumerNotFound) throw error;
    throw new InstanceError(`${tag} has no queue on the broker any more: it was deleted or has expired`);
  }
}

/** Stores the closing record again as it is: workers that rest hear of it and look at the tag anew. */
export async function rouseWorkers(access: TagAccess): Promise<void> {
  const { session, reader, u, manifest } = access;
  const subject = subjectOf.close(u, manifest.tag);
  const stored = await reader.last(streamOf.tags(u), subject);
  if (stored === null) return;
  try {
    const message = { subject, data: stored.data, ...recordExpiry(manifest) };
    await publish(session.nc, message, expectLast(subject, stored.seq));
  } catch (error) {
    // Somebody else has just done it.
    if (!isTaken(error)) throw error;
  }
}

/** Until {@link resumeTag}, or until the broker drops the tag. Pausing a paused tag changes nothing. */
export async function pauseTag(access: TagAccess): Promise<void> {
  const { session, u, manifest } = access;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  const until = new Date(manifest.notAfterMs);
  await onQueue(manifest.tag, () => manager.consumers.pause(streamOf.calls(u), consumerOf(manifest.tag), until));
}

/** Goes on with a paused tag; nothing happens where it is not paused. */
export async function resumeTag(access: TagAccess): Promise<void> {
  const { session, u, manifest } = access;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  await onQueue(manifest.tag, () => manager.consumers.resume(streamOf.calls(u), consumerOf(manifest.tag)));
  await rouseWorkers(access);
}

/** Where a process ends in between, the tag goes on by itself after this. */
const PAUSE_MOST_MS = 30_000;

/** Does something while nothing of the tag is given out. One that is paused already, or meanwhile, stays so. */
export async function whilePaused<T>(access: TagAccess, action: () => Promise<T>): Promise<T> {
  const { session, u, manifest } = access;
  const { tag } = manifest;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  const queue = () => onQueue(tag, () => manager.consumers.info(streamOf.calls(u), consumerOf(tag)));
  if ((await queue()).paused === true) return action();
  const until = new Date(Date.now() + PAUSE_MOST_MS);
  await onQueue(tag, () => manager.consumers.pause(streamOf.calls(u), consumerOf(tag), until));
  try {
    return await action();
  } finally {
    const { config } = await queue();
    if (Date.parse(config.pause_until ?? "") === until.getTime()) await resumeTag(access);
  }
}
