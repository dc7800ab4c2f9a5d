/** Deleting a tag from the broker, or those of its outcomes that an archive holds. */
import { setTimeout as delay } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import type { Archive } from "../archive/index.ts";
import { Lanes } from "../broker/lanes.ts";
import { consumerOf, parseOutcome, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { ApiCode, publish } from "../broker/publish.ts";
import { purge, purgeManager } from "../broker/purge.ts";
import { InstanceError, UsageError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { checkKnown } from "../options.ts";
import { cancelRecord } from "../trust/control.ts";
import { signRecord } from "../trust/signed.ts";
import { listOutcomes } from "./outcomes.ts";

export interface DeleteOptions {
  /** Only the outcomes that the archive holds; the tag stays and goes on. Default false. */
  downloadedOnly?: boolean;
  /** Also where the broker holds outcomes that the archive does not. Default false. */
  force?: boolean;
}

const DELETE_OPTIONS = ["downloadedOnly", "force"] as const satisfies (keyof DeleteOptions)[];

/** @throws UsageError where an option is not known */
export function checkDelete(options: DeleteOptions): void {
  checkKnown("delete option", options, DELETE_OPTIONS);
}

const PURGES_AT_ONCE = 16;
/** How long workers get to let go of what they have of a tag. One that vanished is not waited for longer. */
const LET_GO_MS = 3_000;
const LOOK_MS = 50;

function isHeld(archive: Archive | undefined, subject: string): boolean {
  return archive?.openIndices([parseOutcome(subject).index]).next().done === true;
}

/** Number of outcomes on the broker that the archive does not hold. */
export async function countUnfetched(session: Session, tag: string, archive: Archive | undefined): Promise<number> {
  const { subjects } = await listOutcomes(session, tag);
  return subjects.filter((subject) => !isHeld(archive, subject)).length;
}

/**
 * Removes the outcomes that the archive holds, with their parts.
 * @returns how many outcomes
 */
export async function deleteDownloaded(session: Session, tag: string, archive: Archive): Promise<number> {
  const { nc } = session;
  const u = shortUser(session.identity.user);
  const manager = await purgeManager(nc);
  const { subjects, lastSequence } = await listOutcomes(session, tag);
  const held = subjects.filter((subject) => isHeld(archive, subject));
  const indices = new Set(held.map((subject) => String(parseOutcome(subject).index)));
  const outputs = await manager.streams.info(streamOf.outputs(u), { subjects_filter: subjectOf.anyOutput(u, tag) });
  const lanes = new Lanes(PURGES_AT_ONCE);
  for (const subject of Object.keys(outputs.state.subjects ?? {})) {
    // The parts of call 17 are named 17-<random>.
    const index = subject.slice(subject.lastIndexOf(".") + 1).split("-")[0]!;
    if (indices.has(index)) await lanes.run(() => manager.streams.purge(streamOf.outputs(u), { filter: subject }));
  }
  if (held.length === subjects.length) {
    const filter = subjectOf.outcome(u, "*", "*", tag, "*");
    await lanes.run(() => manager.streams.purge(streamOf.results(u), { filter, seq: lastSequence + 1 }));
  } else {
    for (const filter of held) await lanes.run(() => manager.streams.purge(streamOf.results(u), { filter }));
  }
  await lanes.done();
  return held.length;
}

/** Tells workers to drop what they have of the tag, and gives them a moment. */
async function takeFromWorkers(session: Session, tag: string): Promise<void> {
  const { nc, identity, link } = session;
  const u = shortUser(identity.user);
  const manager = await purgeManager(nc);
  const record = { rootKey: link.rootKey, user: identity.user, tag, deleted: 1, entries: [] };
  const data = signRecord(cancelRecord, record, identity.signer);
  const stream = streamOf.calls(u);
  try {
    // First, so that no worker gets a call after it has let go of the others.
    await manager.consumers.pause(stream, consumerOf(tag), new Date(Date.now() + 24 * 60 * 60 * 1000));
    await publish(nc, { subject: subjectOf.cancel(u, tag), data });
    for (const giveUpMs = performance.now() + LET_GO_MS; performance.now() < giveUpMs; await delay(LOOK_MS)) {
      if ((await manager.consumers.info(stream, consumerOf(tag))).num_ack_pending === 0) break;
    }
    await manager.consumers.delete(stream, consumerOf(tag));
  } catch (error) {
    // A tag may have lost its queue, or never had one.
    if (!(error instanceof JetStreamApiError) || error.code !== ApiCode.consumerNotFound) throw error;
  }
}

/** Removes what the broker holds of a tag, except its records. */
export async function purgeData(session: Session, tag: string): Promise<void> {
  const { nc, identity } = session;
  const u = shortUser(identity.user);
  await purge(nc, streamOf.calls(u), subjectOf.call(u, tag, "*"));
  await purge(nc, streamOf.arguments(u), subjectOf.anyArgument(u, tag));
  await purge(nc, streamOf.outputs(u), subjectOf.anyOutput(u, tag));
  await purge(nc, streamOf.logs(u), subjectOf.log(u, tag, "*"));
  await purge(nc, streamOf.results(u), subjectOf.anyResult(u, tag));
}

/** Removes all that the broker holds of a tag, also of one that was not submitted to its end. Can be repeated. */
export async function deleteTag(session: Session, tag: string): Promise<void> {
  const { nc, identity } = session;
  const u = shortUser(identity.user);
  await takeFromWorkers(session, tag);
  await purgeData(session, tag);
  // The manifest comes last: until it is gone the tag can be named, so a delete that was cut off can be repeated.
  const records = [subjectOf.retry(u, tag, "*"), subjectOf.close(u, tag), subjectOf.cancel(u, tag)];
  for (const subject of [...records, subjectOf.manifest(u, tag)]) await purge(nc, streamOf.tags(u), subject);
}

/**
 * @param archive what was fetched; undefined where nothing was
 * @throws InstanceError where something would be lost and `force` is not set
 */
export async function deleteOf(
  session: Session,
  tag: string,
  archive: Archive | undefined,
  { downloadedOnly = false, force = false }: DeleteOptions,
): Promise<void> {
  if (downloadedOnly) {
    if (archive === undefined)
      throw new UsageError(`${tag}: nothing of it was downloaded, so there is nothing to delete`);
    await deleteDownloaded(session, tag, archive);
    return;
  }
  if (!force) {
    const unfetched = await countUnfetched(session, tag, archive);
    if (unfetched > 0) {
      throw new InstanceError(
        `${tag}: ${unfetched} outcomes on the broker were not pulled and would be lost. Pull them, or delete with force.`,
      );
    }
  }
  await deleteTag(session, tag);
}
