/**
 * Retrying: calls that ended otherwise than succeeded run anew, in a generation of their own. Each is sealed and signed
 * anew for it, a signed record names them, and what they ended with before is removed.
 *
 * A cut-off retry loses nothing: the new messages lie beside the old ones before the record is stored, and whoever pulls
 * or retries next puts them in their places.
 */
import { Lanes } from "../broker/lanes.ts";
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { expectNone, isTaken, publish } from "../broker/publish.ts";
import { purge, purgeManager } from "../broker/purge.ts";
import { DecodeError, InstanceError, UsageError } from "../errors.ts";
import { checkKnown, shown } from "../options.ts";
import { ERROR_STATES } from "../outcome.ts";
import { sealCalls, type TagContext } from "../submit/messages.ts";
import type { TagAccess } from "../tag/access.ts";
import { openArguments } from "../tag/rerun.ts";
import { type CallBody, PAGE_MESSAGES, signPage } from "../trust/call.ts";
import { type RetryRecord, retryRecord } from "../trust/control.ts";
import { signRecord } from "../trust/signed.ts";
import { type CallList, parseCalls, rangeAt, rangesOf } from "./calls.ts";
import { type ControlState, readOwnControl } from "./state.ts";
import { StoredCalls } from "./stored.ts";

const AT_ONCE = 32;
/** Calls in one record: it stays well below what a message may be long, however scattered they are. */
const RECORD_CALLS = 20_000;

/** Puts messages of calls that are retried in the places of those before. Does nothing where there are none. */
export async function sendRetried(access: TagAccess, control: ControlState): Promise<void> {
  const { session, reader, u, manifest } = access;
  const { nc } = session;
  const { tag } = manifest;
  const waiting = subjectOf.nextCall(u, tag, "*");
  if ((await reader.next(streamOf.arguments(u), waiting)) === null) return;
  const manager = await purgeManager(nc);
  const calls = new StoredCalls(access);
  const lanes = new Lanes(AT_ONCE);
  for await (const { subject, data } of reader.all(streamOf.arguments(u), waiting)) {
    const index = indexOf(subject);
    // One whose record was never stored is of a retry that did not come about.
    if (calls.check(data, index).generation !== control.generationOf(index)) continue;
    await lanes.run(async () => {
      const place = subjectOf.call(u, tag, index);
      const before = await reader.last(streamOf.calls(u), place);
      if (before !== null && Buffer.compare(before.data, data) === 0) return;
      await manager.streams.purge(streamOf.results(u), { filter: subjectOf.outcome(u, "*", "*", tag, index) });
      await manager.streams.purge(streamOf.calls(u), { filter: place });
      await publish(nc, { subject: place, data });
    });
  }
  await lanes.done();
  await purge(nc, streamOf.arguments(u), waiting);
}

/** Has a call given out once more, as it is: an outcome of an earlier generation had taken the place of its own. */
export async function sendAgain(access: TagAccess, outcome: { subject: string; seq: number }, index: number) {
  const { session, reader, u, manifest } = access;
  const manager = await purgeManager(session.nc);
  await manager.streams.purge(streamOf.results(u), { filter: outcome.subject, seq: outcome.seq + 1 });
  const place = subjectOf.call(u, manifest.tag, index);
  const stored = await reader.last(streamOf.calls(u), place);
  if (stored === null) return;
  await publish(session.nc, { subject: subjectOf.nextCall(u, manifest.tag, index), data: stored.data });
  await manager.streams.purge(streamOf.calls(u), { filter: place });
  await publish(session.nc, { subject: place, data: stored.data });
  await manager.streams.purge(streamOf.arguments(u), { filter: subjectOf.nextCall(u, manifest.tag, index) });
}

async function retrySome(access: TagAccess, indices: readonly number[]): Promise<void> {
  const { session, u, tagKey, manifest, closing } = access;
  const { nc, identity } = session;
  const { rootKey, user, tag } = manifest;
  const context: TagContext = { rootKey, user, tag, tagKey, u };
  const control = await readOwnControl(access);
  await sendRetried(access, control);
  const calls = new StoredCalls(access);
  // Numbers beyond those of the submit; where a resumed one shares some, a page is only checked once more.
  let page = (closing?.messages ?? 0) + control.retries.reduce((sum, { pages }) => sum + pages, 0);
  const pagesBefore = page;
  const lanes = new Lanes(AT_ONCE);
  for (let from = 0; from < indices.length; from += PAGE_MESSAGES) {
    const bodies: CallBody[] = [];
    for (const index of indices.slice(from, from + PAGE_MESSAGES)) {
      const call = await calls.find(index);
      if (call.count > 1 && call.first === index) {
        const kept = { subject: subjectOf.keptChunk(u, tag, index), data: call.message };
        await lanes.run(() => publish(nc, kept));
      }
      const list = (await openArguments(access, call))[index - call.first];
      if (list === undefined) throw new DecodeError(`call ${index} of ${tag} has no argument list`);
      const body = await sealCalls(context, index, [list], control.generationOf(index) + 1, async (parts) => {
        for (const part of parts) await publish(nc, part);
      });
      bodies.push(body);
    }
    for (const { first, message } of signPage(context, page++, bodies, identity.signer).messages)
      await lanes.run(() => publish(nc, { subject: subjectOf.nextCall(u, tag, first), data: message }));
  }
  await lanes.done();
  const record: RetryRecord = {
    rootKey,
    user,
    tag,
    number: (control.retries.at(-1)?.number ?? 0) + 1,
    calls: rangesOf(indices)
      .flatMap((range) => control.generationsOf(range))
      .map(({ generation, ...range }) => ({ ...range, generation: generation + 1 })),
    pages: page - pagesBefore,
    createdMs: Date.now(),
  };
  const subject = subjectOf.retry(u, tag, record.number);
  try {
    await publish(nc, { subject, data: signRecord(retryRecord, record, identity.signer) }, expectNone(subject));
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new InstanceError(`calls of ${tag} were retried by somebody else at the same time; try again`);
  }
  await sendRetried(access, await readOwnControl(access));
}

/** Runs calls anew. @param indices in order; they must have ended otherwise than succeeded */
export async function retryCalls(access: TagAccess, indices: readonly number[]): Promise<void> {
  for (let from = 0; from < indices.length; from += RECORD_CALLS)
    await retrySome(access, indices.slice(from, from + RECORD_CALLS));
}

export interface RetryOptions {
  /** Which calls: `3,7-20`, or their indices. Default: all. */
  calls?: CallList;
  /** Only those that ended so: failed, killed, lost, refused or cancelled. Default: any of them. */
  state?: string;
}

const RETRY_OPTIONS = ["calls", "state"] as const satisfies (keyof RetryOptions)[];

/** Says which of the calls that did not succeed are meant. @throws UsageError where an option is not what it should be */
export function chooseRetried(
  options: RetryOptions,
  length: number,
): (call: { index: number; state: string }) => boolean {
  checkKnown("retry option", options, RETRY_OPTIONS);
  const { calls, state } = options;
  if (state !== undefined && !(ERROR_STATES as readonly string[]).includes(state)) {
    throw new UsageError(`retry option state: expected one of ${ERROR_STATES.join(", ")}, got ${shown(state)}`);
  }
  const ranges = calls === undefined ? undefined : parseCalls(calls, length);
  return (call) =>
    (ranges === undefined || rangeAt(ranges, call.index) !== undefined) &&
    (state === undefined || call.state === state);
}
