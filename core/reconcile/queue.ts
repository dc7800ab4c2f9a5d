/** A tag's queue as the broker counts it, and making it again where it is gone. */
import { type ConsumerInfo, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { lastSequence } from "../broker/follow.ts";
import { consumerOf, streamOf, subjectOf } from "../broker/names.ts";
import { ApiCode } from "../broker/publish.ts";
import { concurrencyOf, createQueue } from "../broker/queue.ts";
import { type ControlState, readOwnControl } from "../control/state.ts";
import { StoredCalls } from "../control/stored.ts";
import type { TagAccess } from "../tag/access.ts";

/** The tag's queue; undefined where it was deleted. */
export async function queueInfo({ session, u, manifest }: TagAccess): Promise<ConsumerInfo | undefined> {
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  try {
    return await manager.consumers.info(streamOf.calls(u), consumerOf(manifest.tag));
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === ApiCode.consumerNotFound) return undefined;
    throw error;
  }
}

/** What was said of the tag since it was submitted; undefined where it was deleted, or is being deleted. */
export async function readLiving(access: TagAccess): Promise<ControlState | undefined> {
  const { reader, u, manifest } = access;
  const [control, stored] = await Promise.all([
    readOwnControl(access),
    reader.last(streamOf.tags(u), subjectOf.manifest(u, manifest.tag)),
  ]);
  return control.deleted || stored === null ? undefined : control;
}

/** Messages that wait in the queue or are in workers' hands. */
export function inQueue(queue: ConsumerInfo): number {
  return queue.num_pending + queue.num_ack_pending;
}

/**
 * Whether the message at `seq` has left the queue: acknowledged, or passed over. A worker acknowledges only what it has
 * stored the outcome of, so a call of such a message that has no outcome, looked for after the queue, was lost.
 */
export function hasLeft(queue: ConsumerInfo, seq: number): boolean {
  const { ack_floor, delivered, num_ack_pending } = queue;
  return seq <= ack_floor.stream_seq || (num_ack_pending === 0 && seq <= delivered.stream_seq);
}

type HasEnded = (index: number) => boolean;

/** Makes the tag's queue, so that it begins behind the last message whose calls have all ended. */
async function makeQueue(
  access: TagAccess,
  hasEnded: HasEnded,
  concurrency: number,
): Promise<ConsumerInfo | undefined> {
  const { session, u, manifest } = access;
  let from = 1;
  for await (const { first, count, seq, kept } of new StoredCalls(access).all()) {
    if (!kept && Array.from({ length: count }, (_, i) => first + i).every(hasEnded)) from = seq + 1;
  }
  const retentionMs = manifest.notAfterMs - manifest.createdMs;
  await createQueue(session.nc, u, manifest.tag, concurrency, { retentionMs, from });
  // Whoever deletes a tag says so before its queue goes: a queue made in that moment goes as well.
  if ((await readLiving(access)) !== undefined) return queueInfo(access);
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  await manager.consumers.delete(streamOf.calls(u), consumerOf(manifest.tag));
  return undefined;
}

/**
 * The tag's queue, made again where it is gone, or where it is ahead of its stream (which was restored to an older
 * state): such a one would give out nothing that is sent from now on. What lies before its beginning and has not ended
 * is then found as any call that was lost.
 * @param ended whether the call of an index has an outcome
 * @returns undefined where the tag is being deleted
 */
export async function ensureQueue(
  access: TagAccess,
  ended: () => Promise<HasEnded>,
): Promise<{ queue: ConsumerInfo; made: boolean } | undefined> {
  const { session, u, manifest, options } = access;
  const stream = streamOf.calls(u);
  const last = await lastSequence(session.nc, stream);
  const found = await queueInfo(access);
  if (found !== undefined) {
    if (found.ack_floor.stream_seq <= last && found.delivered.stream_seq <= last) return { queue: found, made: false };
    // Somebody may have sent something since the stream was looked at.
    if (found.delivered.stream_seq <= (await lastSequence(session.nc, stream))) return { queue: found, made: false };
    const manager = await jetstreamManager(session.nc, { checkAPI: false });
    await manager.consumers.delete(stream, consumerOf(manifest.tag));
  }
  const queue = await makeQueue(access, await ended(), options.concurrency);
  return queue && { queue, made: true };
}

/**
 * Begins an idle queue anew, for very many lost calls: that costs the broker one reading of the messages, where sending
 * each of them again costs four requests. The queue stays paused, and keeps its limit.
 * @returns false where somebody else has done something to it meanwhile
 */
export async function restartQueue(access: TagAccess, before: ConsumerInfo, hasEnded: HasEnded): Promise<boolean> {
  const { session, u, manifest } = access;
  const stream = streamOf.calls(u);
  const now = await queueInfo(access);
  if (now === undefined || now.created !== before.created || inQueue(now) > 0) return false;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  await manager.consumers.delete(stream, consumerOf(manifest.tag));
  const made = await makeQueue(access, hasEnded, concurrencyOf(now.config.max_ack_pending));
  if (made !== undefined && now.paused === true && now.config.pause_until !== undefined)
    await manager.consumers.pause(stream, consumerOf(manifest.tag), new Date(now.config.pause_until));
  return made !== undefined;
}
