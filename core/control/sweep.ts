/**
 * Removing what is left of expired tags. Most has gone by itself then (core/broker/expiry.ts); outcomes that were stored
 * late, and calls that were retried, would stay until they are as old themselves.
 */
import { JetStreamApiError, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { serverTimeMs } from "../broker/clock.ts";
import { consumerOf, shortUser, streamOf } from "../broker/names.ts";
import { ApiCode } from "../broker/publish.ts";
import type { Session } from "../instance/session.ts";
import { purgeData } from "./delete.ts";

/**
 * A queue goes by itself when nobody has pulled from it for as long as the tag was to last. So where there is none,
 * nothing was stored late; and it is deleted last, so a sweep that was cut off is repeated.
 */
async function hasQueue(manager: JetStreamManager, stream: string, tag: string): Promise<boolean> {
  try {
    await manager.consumers.info(stream, consumerOf(tag));
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === ApiCode.consumerNotFound) return false;
    throw error;
  }
}

/** @param tags all that the broker still names; those whose time is not over are left alone */
export async function sweepExpired(
  session: Session,
  tags: readonly { tag: string; expiresMs: number }[],
): Promise<void> {
  const isOver = (nowMs: number) => tags.filter(({ expiresMs }) => expiresMs < nowMs);
  if (isOver(Date.now()).length === 0) return;
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  const stream = streamOf.calls(shortUser(session.identity.user));
  // The two clocks may differ; nothing is removed before both say so.
  const nowMs = Math.min(Date.now(), (await serverTimeMs(manager, stream)) ?? 0);
  for (const { tag } of isOver(nowMs)) {
    if (!(await hasQueue(manager, stream, tag))) continue;
    await purgeData(session, tag);
    await manager.consumers.delete(stream, consumerOf(tag));
  }
}
