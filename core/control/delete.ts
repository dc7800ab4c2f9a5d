/** Deleting a tag from the broker, or those of its outcomes that an archive holds. */
import { setTimeout as delay } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import type { Archive } from "../archive/index.ts";
import { callsOf, consumerOf, parseOutcome, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { ApiCode, publish } from "../broker/publish.ts";
import { purge, purgeManager } from "../broker/purge.ts";
import type { Session } from "../instance/session.ts";
import { checkKnown } from "../options.ts";
import { forgetShares } from "../share/mine.ts";
import { openTag } from "../tag/access.ts";
import { openLiveTag } from "../tag/expiry.ts";
import { isPlace } from "../tag/stored.ts";
import { signDeletion } from "../trust/control.ts";
import { type CallList, parseCalls } from "./calls.ts";
import { deleteSome, isHeld, NotPulledError } from "./delete-some.ts";
import { listOutcomes } from "./outcomes.ts";
import { readOwnControl } from "./state.ts";
import { checkStates, ENDED_STATES, OPEN_STATES, type StateChoice } from "./states.ts";

export interface DeleteOptions {
  /** Only what these calls ended with; the tag stays. `3,7-20`, or their indices. Calls that have not ended are cancelled. */
  calls?: CallList;
  /** Only what calls ended with that are so: pending, running, succeeded, failed, ... or several of them; the tag stays. */
  state?: StateChoice;
  /** Only the outcomes that the archive holds; the tag stays and goes on. Default false. */
  downloadedOnly?: boolean;
  /** Also where the broker holds outcomes that the archive does not. Default false. */
  force?: boolean;
}

const DELETE_OPTIONS = ["calls", "state", "downloadedOnly", "force"] as const satisfies (keyof DeleteOptions)[];

/** @throws UsageError where an option is not known or not what it should be */
export function checkDelete(options: DeleteOptions): void {
  checkKnown("delete option", options, DELETE_OPTIONS);
  checkStates("delete option state", options.state, [...OPEN_STATES, ...ENDED_STATES]);
}

/** How long workers get to let go of what they have of a tag. One that vanished is not waited for longer. */
const LET_GO_MS = 3_000;
const LOOK_MS = 50;

/** Tells workers to drop what they have of the tag, and gives them a moment. */
async function takeFromWorkers(session: Session, tag: string): Promise<void> {
  const { nc, identity, link } = session;
  const u = shortUser(identity.user);
  const manager = await purgeManager(nc);
  const data = signDeletion({ rootKey: link.rootKey, user: identity.user, tag }, identity.signer);
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
  await forgetShares(session, tag);
  await takeFromWorkers(session, tag);
  await purgeData(session, tag);
  // The manifest comes last: until it is gone the tag can be named, so a delete that was cut off can be repeated.
  const records = [subjectOf.retry(u, tag, "*"), subjectOf.resume(u, tag), subjectOf.close(u, tag)];
  for (const subject of [...records, subjectOf.keys(u, tag, "*"), subjectOf.cancel(u, tag), subjectOf.manifest(u, tag)])
    await purge(nc, streamOf.tags(u), subject);
}

/** The whole tag. @returns how many outcomes of it were on the broker */
async function deleteWhole(
  session: Session,
  tag: string,
  archive: Archive | undefined,
  force: boolean,
): Promise<number> {
  let { subjects } = await listOutcomes(session, tag);
  if (!force && subjects.length > 0) {
    const access = await openTag(session, tag);
    subjects = subjects.filter((subject) => isPlace(access, parseOutcome(subject)));
    const control = await readOwnControl(access);
    let unfetched = 0;
    for (const index of callsOf(subjects)) if (!isHeld(archive, control, index)) unfetched++;
    if (unfetched > 0) throw new NotPulledError(tag, unfetched);
  }
  await deleteTag(session, tag);
  return callsOf(subjects).reduce((calls) => calls + 1, 0);
}

/**
 * @param archive what was fetched; undefined where nothing was
 * @returns how many outcomes were deleted; of some calls only, how many calls
 * @throws NotPulledError where something would be lost and `force` is not set
 */
export async function deleteOf(
  session: Session,
  tag: string,
  archive: Archive | undefined,
  options: DeleteOptions,
): Promise<number> {
  checkDelete(options);
  const { calls, state, downloadedOnly = false, force = false } = options;
  if (calls === undefined && state === undefined && !downloadedOnly) return deleteWhole(session, tag, archive, force);
  const access = await openLiveTag(session, tag);
  const length = access.closing?.calls ?? 0;
  return deleteSome(access, archive, {
    calls: calls === undefined ? [{ first: 0, last: length - 1 }] : parseCalls(calls, length),
    states: checkStates("delete option state", state, [...OPEN_STATES, ...ENDED_STATES]),
    downloadedOnly,
    force,
  });
}
