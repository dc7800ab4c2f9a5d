/** How far a tag is, by the broker's counts. */
import { setTimeout as delay } from "node:timers/promises";
import { type ConsumerInfo, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { countStored } from "../broker/follow.ts";
import { consumerOf, streamOf, subjectOf } from "../broker/names.ts";
import { concurrencyOf } from "../broker/queue.ts";
import type { Session } from "../instance/session.ts";
import { checkKnown } from "../options.ts";
import { openTag, type TagAccess } from "./access.ts";

export interface StatusOptions {
  /** Look twice, so many milliseconds apart, for the rate and the time left. Default 0: once, without them. */
  measureMs?: number;
}

const STATUS_OPTIONS = ["measureMs"] as const satisfies (keyof StatusOptions)[];

export interface TagStatus {
  tag: string;
  task: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  /** From then on the broker forgets the tag and no worker starts a call of it. Milliseconds since 1970. */
  expiresMs: number;
  datacenters: string[];
  /** False where the submit did not end; its calls do not run then. */
  closed: boolean;
  /** Workers take no calls of it until it is resumed. */
  paused: boolean;
  /** Messages (chunks) that may be in the hands of workers at once; null for no limit. */
  concurrency: number | null;
  /** Number of calls. */
  calls: number;
  /** Messages (chunks) in the queue that no worker has yet. */
  pending: number;
  /** Messages (chunks) in the hands of workers. */
  running: number;
  succeeded: number;
  /** Calls that ended otherwise than succeeded. */
  failed: number;
  /** Outcomes stored by each of its datacenters. */
  ended: Record<string, number>;
  /** Calls that ended in a second, between the two looks; only where `measureMs` was given. */
  perSecond?: number;
  /** Milliseconds until all will have ended if it goes on like this; only where the rate is known and not 0. */
  leftMs?: number;
}

/** The tag's queue; undefined where it was deleted. */
export async function queueInfo(access: TagAccess): Promise<ConsumerInfo | undefined> {
  const manager = await jetstreamManager(access.session.nc, { checkAPI: false });
  try {
    return await manager.consumers.info(streamOf.calls(access.u), consumerOf(access.manifest.tag));
  } catch (error) {
    // 10014: no such consumer.
    if (error instanceof JetStreamApiError && error.code === 10014) return undefined;
    throw error;
  }
}

/** Stored outcomes of each kind, and by datacenter. */
async function countEnded({ session, u, manifest }: TagAccess) {
  const stored = (kind: "result" | "error" | "*", datacenter: string) =>
    countStored(session.nc, streamOf.results(u), subjectOf.outcome(u, kind, datacenter, manifest.tag, "*"));
  const { datacenters } = manifest;
  const [succeeded, failed, ...each] = await Promise.all([
    stored("result", "*"),
    stored("error", "*"),
    ...datacenters.map((datacenter) => stored("*", datacenter)),
  ]);
  const ended = Object.fromEntries(datacenters.map((datacenter, i): [string, number] => [datacenter, each[i]!]));
  return { succeeded: succeeded!, failed: failed!, ended };
}

export async function statusOf(access: TagAccess): Promise<TagStatus> {
  const { manifest, closing, options } = access;
  const [queue, counts] = await Promise.all([queueInfo(access), countEnded(access)]);
  return {
    tag: manifest.tag,
    task: options.taskName,
    createdMs: manifest.createdMs,
    expiresMs: manifest.notAfterMs,
    datacenters: manifest.datacenters,
    closed: closing !== undefined,
    paused: queue?.paused === true,
    concurrency: concurrencyOf(queue?.config.max_ack_pending) || null,
    calls: closing?.calls ?? 0,
    pending: queue?.num_pending ?? 0,
    running: queue?.num_ack_pending ?? 0,
    ...counts,
  };
}

/** The second of two looks, with what the first adds to it. */
function measured(before: TagStatus, status: TagStatus, tookMs: number): TagStatus {
  const endedIn = ({ succeeded, failed }: TagStatus) => succeeded + failed;
  const perSecond = Math.max(0, endedIn(status) - endedIn(before)) / (tookMs / 1000);
  const left = status.calls - endedIn(status);
  return { ...status, perSecond, ...(perSecond > 0 && left > 0 && { leftMs: (left / perSecond) * 1000 }) };
}

export async function tagStatus(session: Session, tag: string, options: StatusOptions = {}): Promise<TagStatus> {
  checkKnown("status option", options, STATUS_OPTIONS);
  const { measureMs = 0 } = options;
  const access = await openTag(session, tag);
  const beganMs = performance.now();
  const first = await statusOf(access);
  const isOver = first.succeeded + first.failed >= first.calls;
  if (measureMs <= 0 || !first.closed || isOver) return first;
  await delay(measureMs);
  return measured(first, await statusOf(access), performance.now() - beganMs);
}
