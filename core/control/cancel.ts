/**
 * Cancelling: a signed, stored record says which calls are not to run (any more), and each of them that has no outcome
 * gets one that says so. First write wins as for any outcome, so all readers see the same end of a call.
 */
import { recordExpiry } from "../broker/expiry.ts";
import { callsOf, subjectOf } from "../broker/names.ts";
import { expectLast, isTaken, publish } from "../broker/publish.ts";
import { BrokerError, InstanceError, UsageError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import { shown } from "../shown.ts";
import type { TagAccess } from "../tag/access.ts";
import { type CancelEntry, type CancelRecord, type GenerationRange, signCancel } from "../trust/control.ts";
import { type CallList, type CallRange, indicesOf, parseCalls, rangeAt, rangesOf } from "./calls.ts";
import { CallCancelled } from "./cancelled.ts";
import { listPlaces } from "./outcomes.ts";
import { OwnOutcomes } from "./own-outcomes.ts";
import { whilePaused } from "./pause.ts";
import { pendingCalls } from "./pending.ts";
import { type ControlState, readOwnControl } from "./state.ts";
import { checkStates, OPEN_STATES, type StateChoice } from "./states.ts";
import { StoredCalls } from "./stored.ts";

/** Cancels of one tag at the same time: each has to see the record of the one before. */
const TRIES = 10;
/** With what else a record holds this stays well below what a message may be long. */
const MOST_RANGES = 40_000;
const MOST_REASON = 2000;

/** What earlier entries say beyond `calls`: the newest that names a call counts, so a repeated cancel takes no more room. */
function beyond(entries: readonly CancelEntry[], calls: readonly GenerationRange[]): CancelEntry[] {
  const covered = ({ first, last, generation }: GenerationRange): boolean => {
    const newer = rangeAt(calls, first);
    return newer !== undefined && newer.last >= last && newer.generation >= generation;
  };
  const left = entries.map((entry) => ({ ...entry, calls: entry.calls.filter((range) => !covered(range)) }));
  return left.filter((entry) => entry.calls.length > 0);
}

function merged(access: TagAccess, control: ControlState, calls: readonly CallRange[], reason: string): CancelRecord {
  const { rootKey, user, tag } = access.manifest;
  const ranges: GenerationRange[] = calls.flatMap((range) => control.generationsOf(range));
  const entries = [{ calls: ranges, reason, createdMs: Date.now() }, ...beyond(control.cancel?.entries ?? [], ranges)];
  const total = entries.reduce((sum, entry) => sum + entry.calls.length, 0);
  if (total > MOST_RANGES) {
    throw new UsageError(
      `${tag}: the calls that are cancelled or deleted so far, with these, lie in ${total} separate ranges; at most ${MOST_RANGES} ` +
        "can be noted of a tag. Name calls that lie together (0-9999), or cancel or delete the tag as a whole.",
    );
  }
  return { rootKey, user, tag, deleted: 0, entries };
}

/**
 * Adds to what is cancelled already.
 * @returns what the records say then
 * @throws InstanceError where the tag is being deleted: the record that says so is not to be lost
 */
export async function recordCancel(
  access: TagAccess,
  calls: readonly CallRange[],
  reason: string,
): Promise<ControlState> {
  const { session, u, manifest } = access;
  const subject = subjectOf.cancel(u, manifest.tag);
  for (let tries = 1; ; tries++) {
    const control = await readOwnControl(access);
    if (control.deleted) {
      const { tag } = manifest;
      throw new InstanceError(`${tag} is being deleted, or its delete was cut off. To finish that: humq delete ${tag}`);
    }
    const record = merged(access, control, calls, reason);
    const data = signCancel(record, access.tagKey, session.identity.signer);
    try {
      await publish(session.nc, { subject, data, ...recordExpiry(manifest) }, expectLast(subject, control.cancelSeq));
      return readOwnControl(access);
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (tries === TRIES) throw new BrokerError(`${manifest.tag} is being cancelled by somebody else all the time`);
    }
  }
}

/** The calls that have an outcome on the broker. */
export async function endedCalls(access: TagAccess): Promise<Set<number>> {
  const { subjects } = await listPlaces(access);
  return new Set(callsOf(subjects));
}

/**
 * Gives the cancelled calls of `calls` their outcome; one that has got another meanwhile keeps it.
 * @param ended calls that are known to have one
 * @returns how many were not known to have ended
 */
export async function settleCancelled(
  access: TagAccess,
  control: ControlState,
  calls: readonly CallRange[],
  ended: ReadonlySet<number>,
): Promise<number> {
  let settled = 0;
  const store = new OwnOutcomes(access, "cancelled");
  for await (const { first, count, generation, hash } of new StoredCalls(access).of(calls)) {
    for (let index = first; index < first + count; index++) {
      if (ended.has(index) || control.generationOf(index) !== generation) continue;
      const reason = control.cancelled(index, generation);
      if (reason === undefined) continue;
      settled++;
      await store.add({ index, generation, callHash: hash }, new CallCancelled(reason));
    }
  }
  await store.flush();
  return settled;
}

export interface CancelOptions {
  /** Which calls: `3,7-20`, or their indices. Default: all. */
  calls?: CallList;
  /** Only those that are so: `pending` (no worker has them yet) or `running`. Default: both. */
  state?: StateChoice;
  /** Told to whoever reads how the calls ended. Default: none. */
  reason?: string;
}

const CANCEL_OPTIONS = ["calls", "state", "reason"] as const satisfies (keyof CancelOptions)[];

export interface CheckedCancel {
  calls: CallRange[];
  /** Undefined for any. */
  states: ReadonlySet<string> | undefined;
  reason: string;
}

/** @throws UsageError where an option is not known or not what it should be */
export function checkCancel(options: CancelOptions, length: number): CheckedCancel {
  checkKnown("cancel option", options, CANCEL_OPTIONS);
  const { calls, state, reason } = options;
  return {
    calls: calls === undefined ? [{ first: 0, last: length - 1 }] : parseCalls(calls, length),
    states: checkStates("cancel option state", state, OPEN_STATES),
    reason: checkReason(reason),
  };
}

function checkReason(reason: string | undefined): string {
  if (reason === undefined) return "";
  if (typeof reason === "string" && reason.length <= MOST_REASON) return reason.toWellFormed();
  throw new UsageError(
    `cancel option reason: expected a text of up to ${MOST_REASON} characters, got ${shown(reason)}`,
  );
}

/**
 * Cancels those of `calls` that have not ended.
 * @returns how many
 */
export async function cancelCalls(access: TagAccess, calls: readonly CallRange[], reason: string): Promise<number> {
  const ended = await endedCalls(access);
  const control = await recordCancel(access, calls, reason);
  return settleCancelled(access, control, calls, ended);
}

/** As {@link cancelCalls}, for calls chosen by what the broker says of them at this moment. */
export async function cancelChosen(access: TagAccess, { calls, states, reason }: CheckedCancel): Promise<number> {
  if (states === undefined || states.size === OPEN_STATES.length) return cancelCalls(access, calls, reason);
  const wantsPending = states.has("pending");
  const cancel = async () => {
    const pending = await pendingCalls(access, await readOwnControl(access));
    const ended = await endedCalls(access);
    const chosen = Array.from(indicesOf(calls)).filter(
      (index) => !ended.has(index) && pending.has(index) === wantsPending,
    );
    return chosen.length === 0 ? 0 : cancelCalls(access, rangesOf(chosen), reason);
  };
  // Nothing that is pending now is to begin meanwhile.
  return wantsPending ? whilePaused(access, cancel) : cancel();
}
