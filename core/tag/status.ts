/** How far a tag is, by the broker's counts. */
import { jetstreamManager } from "@nats-io/jetstream";
import { countStored } from "../broker/follow.ts";
import { consumerOf, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import type { Session } from "../instance/session.ts";
import { openTag } from "./access.ts";

export interface TagStatus {
  tag: string;
  task: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  datacenters: string[];
  /** False where the submit did not end; its calls do not run then. */
  closed: boolean;
  /** Number of calls. */
  calls: number;
  /** Messages (chunks) in the queue that no worker has yet. */
  pending: number;
  /** Messages (chunks) in the hands of workers. */
  running: number;
  succeeded: number;
  /** Calls that ended otherwise than succeeded. */
  failed: number;
}

export async function tagStatus(session: Session, tag: string): Promise<TagStatus> {
  const { manifest, closing, options } = await openTag(session, tag);
  const { nc } = session;
  const u = shortUser(session.identity.user);
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const stored = (kind: "result" | "error") =>
    countStored(nc, streamOf.results(u), subjectOf.outcome(u, kind, "*", tag, "*"));
  const queue = await manager.consumers.info(streamOf.calls(u), consumerOf(tag));
  return {
    tag,
    task: options.taskName,
    createdMs: manifest.createdMs,
    datacenters: manifest.datacenters,
    closed: closing !== undefined,
    calls: closing?.calls ?? 0,
    pending: queue.num_pending,
    running: queue.num_ack_pending,
    succeeded: await stored("result"),
    failed: await stored("error"),
  };
}
