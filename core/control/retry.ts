/**
 * Retrying: calls that ended otherwise than succeeded run anew, in a generation of their own. Each is sealed and signed
 * anew for it, a signed record names them, and what they ended with before is removed.
 *
 * A cut-off retry loses nothing: the new messages lie beside the old ones before the record is stored, and whoever pulls
 * or retries next puts them in their places.
 */
import { expiryOf, recordExpiry } from "../broker/expiry.ts";
import { Lanes } from "../broker/lanes.ts";
import { subjectOf } from "../broker/names.ts";
import { expectNone, isTaken, publish } from "../broker/publish.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import { ERROR_STATES } from "../outcome.ts";
import { sealCalls, type TagContext } from "../submit/messages.ts";
import type { TagAccess } from "../tag/access.ts";
import { openArguments } from "../tag/rerun.ts";
import { type CallBody, PAGE_MESSAGES, signPage } from "../trust/call.ts";
import { type RetryRecord, retryRecord } from "../trust/control.ts";
import { signRecord } from "../trust/signed.ts";
import { type CallList, parseCalls, rangeAt, rangesOf } from "./calls.ts";
import { placeParked } from "./place.ts";
import { readOwnControl } from "./state.ts";
import { checkStates, type StateChoice } from "./states.ts";
import { type StoredCall, StoredCalls } from "./stored.ts";

const AT_ONCE = 32;
/** Calls in one record: it stays well below what a message may be long, however scattered they are. */
const RECORD_CALLS = 20_000;

/** A call as it was submitted; undefined where the broker does not hold it, or not as it was signed. */
async function findArguments(
  access: TagAccess,
  calls: StoredCalls,
  index: number,
): Promise<{ call: StoredCall; list: Uint8Array } | undefined> {
  try {
    const call = await calls.find(index);
    const list = (await openArguments(access, call))[index - call.first];
    return list === undefined ? undefined : { call, list };
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError || error instanceof InstanceError)
      return undefined;
    throw error;
  }
}

/** @returns the calls that the broker does not hold as they were submitted */
async function retrySome(access: TagAccess, wanted: readonly number[]): Promise<number[]> {
  const { session, u, tagKey, manifest, closing } = access;
  const { nc, identity } = session;
  const { rootKey, user, tag } = manifest;
  const expiry = expiryOf(manifest);
  const context: TagContext = { rootKey, user, tag, tagKey, u, ...expiry };
  const control = await readOwnControl(access);
  await placeParked(access, control);
  const calls = new StoredCalls(access);
  // Numbers beyond those of the submit; where a resumed one shares some, a page is only checked once more.
  let page = (closing?.messages ?? 0) + control.retries.reduce((sum, { pages }) => sum + pages, 0);
  const pagesBefore = page;
  const lanes = new Lanes(AT_ONCE);
  const indices: number[] = [];
  const broken: number[] = [];
  for (let from = 0; from < wanted.length; from += PAGE_MESSAGES) {
    const bodies: CallBody[] = [];
    for (const index of wanted.slice(from, from + PAGE_MESSAGES)) {
      const found = await findArguments(access, calls, index);
      if (found === undefined) {
        broken.push(index);
        continue;
      }
      indices.push(index);
      const { call, list } = found;
      if (call.count > 1 && call.first === index) {
        const kept = { subject: subjectOf.keptChunk(u, tag, index), data: call.message, ...expiry };
        await lanes.run(() => publish(nc, kept));
      }
      const body = await sealCalls(context, index, [list], control.generationOf(index) + 1, async (parts) => {
        for (const part of parts) await publish(nc, part);
      });
      bodies.push(body);
    }
    if (bodies.length === 0) continue;
    for (const { first, message } of signPage(context, page++, bodies, identity.signer).messages)
      await lanes.run(() => publish(nc, { subject: subjectOf.nextCall(u, tag, first), data: message, ...expiry }));
  }
  await lanes.done();
  if (indices.length === 0) return broken;
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
    const data = signRecord(retryRecord, record, identity.signer);
    await publish(nc, { subject, data, ...recordExpiry(manifest) }, expectNone(subject));
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new InstanceError(`calls of ${tag} were retried by somebody else at the same time; try again`);
  }
  await placeParked(access, await readOwnControl(access));
  return broken;
}

/**
 * Runs calls anew.
 * @param indices in order; they must have ended otherwise than succeeded
 * @returns those of them that cannot run: the broker does not hold them, or not as they were submitted
 */
export async function retryCalls(access: TagAccess, indices: readonly number[]): Promise<number[]> {
  const broken: number[] = [];
  for (let from = 0; from < indices.length; from += RECORD_CALLS)
    broken.push(...(await retrySome(access, indices.slice(from, from + RECORD_CALLS))));
  return broken;
}

export interface RetryOptions {
  /** Which calls: `3,7-20`, or their indices. Default: all. */
  calls?: CallList;
  /** Only those that ended so: failed, killed, lost, refused or cancelled, or several of them. Default: any of them. */
  state?: StateChoice;
}

const RETRY_OPTIONS = ["calls", "state"] as const satisfies (keyof RetryOptions)[];

/** Says which of the calls that did not succeed are meant. @throws UsageError where an option is not what it should be */
export function chooseRetried(
  options: RetryOptions,
  length: number,
): (call: { index: number; state: string }) => boolean {
  checkKnown("retry option", options, RETRY_OPTIONS);
  const { calls, state } = options;
  const states = checkStates("retry option state", state, ERROR_STATES);
  const ranges = calls === undefined ? undefined : parseCalls(calls, length);
  return (call) =>
    (ranges === undefined || rangeAt(ranges, call.index) !== undefined) &&
    (states === undefined || states.has(call.state));
}
