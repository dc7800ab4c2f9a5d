/** How far a tag is, by the broker's counts. */
import { setTimeout as delay } from "node:timers/promises";
import { concurrencyOf } from "../broker/queue.ts";
import type { Session } from "../instance/session.ts";
import { checkKnown } from "../options.ts";
import { queueInfo } from "../reconcile/queue.ts";
import { isOpen, reconcile } from "../reconcile/reconcile.ts";
import { openTag, type TagAccess } from "./access.ts";
import { countEnded } from "./ended.ts";
import { hasExpired } from "./expiry.ts";
import { countStoredCalls } from "./half.ts";
import { countByState, type EndedByState } from "./states.ts";

export interface StatusOptions {
  /** Look twice, so many milliseconds apart, for the rate and the time left. Default 0: once, without them. */
  measureMs?: number;
  /** Read the errors for {@link TagStatus.byState}. Default true; false costs the broker less where there are many. */
  byState?: boolean;
}

export const STATUS_OPTIONS = ["measureMs", "byState"] as const satisfies (keyof StatusOptions)[];

export interface TagStatus {
  tag: string;
  /** Of somebody else's tag: their name. */
  sharedBy?: string;
  task: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  /** From then on no worker starts a call of it, and the broker keeps nothing of it. Milliseconds since 1970. */
  expiresMs: number;
  /** Whether it has come to that: the counts then are 0, whatever they were. */
  expired: boolean;
  datacenters: string[];
  /** False where the submit did not end; its calls do not run then. */
  closed: boolean;
  /** Workers take no calls of it until it is resumed. */
  paused: boolean;
  /** Messages (chunks) that may be in the hands of workers at once; null for no limit. */
  concurrency: number | null;
  /** Number of calls; of a tag that is not closed, how many are stored. */
  calls: number;
  /** Messages (chunks) in the queue that no worker has yet. */
  pending: number;
  /** Messages (chunks) in the hands of workers. */
  running: number;
  succeeded: number;
  /** Calls that ended otherwise than succeeded; {@link byState} says how. */
  errors: number;
  /**
   * Calls by the state they ended in; what does not open as an outcome of its call is in none. null where there are more
   * than 20,000 errors, which are not read for this, or where it was not asked for.
   */
  byState: EndedByState | null;
  /** Calls whose outcome is by each of its datacenters. */
  ended: Record<string, number>;
  /** Calls that ended in a second, between the two looks; only where `measureMs` was given. */
  perSecond?: number;
  /** Milliseconds until all will have ended if it goes on like this; only where the rate is known and not 0. */
  leftMs?: number;
  /** Calls that the broker had lost: they were in its queue no more and had no outcome. They run again; absent for none. */
  sentAgain?: number;
}

/** @param readErrors whether to read them where there are any, for the counts by state */
export async function statusOf(access: TagAccess, readErrors = false): Promise<TagStatus> {
  const { manifest, closing, options } = access;
  // In this order, so that no call is counted in neither: what leaves the queue has its outcome by then.
  const queue = await queueInfo(access);
  const ended = await countEnded(access);
  const { passedOver: _, ...counts } = ended;
  const calls = closing?.calls ?? (await countStoredCalls(access));
  return {
    tag: manifest.tag,
    task: options.taskName,
    createdMs: manifest.createdMs,
    expiresMs: manifest.notAfterMs,
    expired: hasExpired(manifest),
    datacenters: manifest.datacenters,
    closed: closing !== undefined,
    paused: queue?.paused === true,
    concurrency: concurrencyOf(queue?.config.max_ack_pending) || null,
    calls,
    pending: queue?.num_pending ?? 0,
    running: queue?.num_ack_pending ?? 0,
    ...counts,
    byState: readErrors || ended.errors === 0 ? await countByState(access, ended) : null,
  };
}

/** The second of two looks, with what the first adds to it. */
export function measured(before: TagStatus, status: TagStatus, tookMs: number): TagStatus {
  const endedIn = ({ succeeded, errors }: TagStatus) => succeeded + errors;
  const perSecond = Math.max(0, endedIn(status) - endedIn(before)) / (tookMs / 1000);
  const left = status.calls - endedIn(status);
  return { ...status, perSecond, ...(perSecond > 0 && left > 0 && { leftMs: (left / perSecond) * 1000 }) };
}

/** As {@link statusOf}; what the broker has lost of the tag runs again. */
async function mendedStatus(access: TagAccess, readErrors: boolean): Promise<TagStatus> {
  const status = await statusOf(access, readErrors);
  const open = status.calls - status.succeeded - status.errors;
  const accounted = (status.pending + status.running) * access.options.chunkSize;
  if (open <= accounted || !isOpen(access)) return status;
  const { sentAgain, gone, queueMade } = await reconcile(access);
  if (sentAgain === 0 && gone === 0 && !queueMade) return status;
  return { ...(await statusOf(access, readErrors)), ...(sentAgain > 0 && { sentAgain }) };
}

export async function tagStatus(session: Session, tag: string, options: StatusOptions = {}): Promise<TagStatus> {
  checkKnown("status option", options, STATUS_OPTIONS);
  const { measureMs = 0, byState = true } = options;
  const access = await openTag(session, tag);
  const beganMs = performance.now();
  const first = await mendedStatus(access, byState);
  const isOver = first.succeeded + first.errors >= first.calls;
  if (measureMs <= 0 || !first.closed || isOver) return first;
  await delay(measureMs);
  const { sentAgain } = first;
  const second = { ...(await statusOf(access, byState)), ...(sentAgain !== undefined && { sentAgain }) };
  return measured(first, second, performance.now() - beganMs);
}
