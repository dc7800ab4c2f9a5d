/**
 * Deleting what some calls of a tag ended with. A short note takes the place of each outcome: without it the call would
 * pass for one whose outcome the broker has lost, and run again.
 */
import type { Archive, Outcome } from "../archive/index.ts";
import { Lanes } from "../broker/lanes.ts";
import { callsOf, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { purgeManager } from "../broker/purge.ts";
import { CallEndError, HumqError, UsageError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { readErrorStates } from "../tag/states.ts";
import { encodeError } from "../values/index.ts";
import { type CallRange, indicesOf, rangeAt, rangesOf } from "./calls.ts";
import { cancelCalls, recordCancel } from "./cancel.ts";
import { listPlaces, type OutcomeSubjects } from "./outcomes.ts";
import { type OutcomePlace, OwnOutcomes } from "./own-outcomes.ts";
import { takeOut } from "./packs.ts";
import { pendingCalls } from "./pending.ts";
import { type ControlState, readOwnControl } from "./state.ts";
import { OPEN_STATES } from "./states.ts";
import { StoredCalls } from "./stored.ts";

const PURGES_AT_ONCE = 16;
const REASON = "deleted";

/** What is read in the place of an outcome that was deleted. */
export class CallDeleted extends CallEndError {
  constructor() {
    super("call-deleted", "its outcome was deleted from the broker by its submitter");
  }
}

/** Something would be lost that was not pulled. */
export class NotPulledError extends HumqError {
  /** Outcomes that would be lost. */
  readonly outcomes: number;

  constructor(tag: string, outcomes: number) {
    const what = outcomes === 1 ? "1 outcome on the broker was" : `${outcomes} outcomes on the broker were`;
    super("instance", `${tag}: ${what} not pulled and would be lost. Pull first, or delete with force.`);
    this.outcomes = outcomes;
  }
}

/** Whether the archive holds what a call ended with, and the call was not retried since. */
export function isHeld(archive: Archive | undefined, control: ControlState, index: number): boolean {
  if (archive?.openIndices([index]).next().done !== true) return false;
  const known = archive.getMeta("retries") ?? 0;
  return control.retries.every(({ number, calls }) => number <= known || rangeAt(calls, index) === undefined);
}

/** How the calls ended whose outcomes are `subjects`; what does not open says nothing. */
async function statesOf(access: TagAccess, control: ControlState, subjects: readonly string[]) {
  const states = new Map<number, Outcome["state"]>();
  for (const subject of subjects) {
    if (parseOutcome(subject).kind !== "error") for (const index of callsOf([subject])) states.set(index, "succeeded");
  }
  for await (const { index, state } of readErrorStates(access, control)) {
    if (state !== undefined) states.set(index, state);
  }
  return states;
}

/** One call's outcome: in a message of its own, or in a pack. */
interface StoredCallOutcome {
  subject: string;
  index: number;
}

function isPacked({ subject }: StoredCallOutcome): boolean {
  return parseOutcome(subject).kind === "pack";
}

/** Where the outcomes lay that had a message of their own, by the calls' indices. */
function placesOf(chosen: readonly StoredCallOutcome[]): Map<number, OutcomePlace> {
  return new Map(
    chosen
      .filter((one) => !isPacked(one))
      .map(({ subject, index }) => {
        const { kind, datacenter } = parseOutcome(subject);
        return [index, { kind: kind === "result" ? "result" : "error", datacenter }];
      }),
  );
}

/**
 * Removes outcomes with their parts.
 * @param all whether these are all that there are
 * @returns where notes are to be left
 */
async function removeOutcomes(
  access: TagAccess,
  chosen: readonly StoredCallOutcome[],
  { lastSequence }: OutcomeSubjects,
  all: boolean,
): Promise<Map<number, OutcomePlace>> {
  const { session, u, manifest } = access;
  const { tag } = manifest;
  const manager = await purgeManager(session.nc);
  const indices = new Set(chosen.map(({ index }) => index));
  const outputs = await manager.streams.info(streamOf.outputs(u), { subjects_filter: subjectOf.anyOutput(u, tag) });
  const lanes = new Lanes(PURGES_AT_ONCE);
  for (const subject of Object.keys(outputs.state.subjects ?? {})) {
    // The parts of call 17 are named 17-<random>.
    const index = Number(subject.slice(subject.lastIndexOf(".") + 1).split("-")[0]);
    if (indices.has(index)) await lanes.run(() => manager.streams.purge(streamOf.outputs(u), { filter: subject }));
  }
  const results = streamOf.results(u);
  // What was stored since is of a call that was retried meanwhile.
  const seq = lastSequence + 1;
  const singles = all
    ? (["result", "error"] as const).map((kind) => subjectOf.outcome(u, kind, "*", tag, "*"))
    : chosen.filter((one) => !isPacked(one)).map(({ subject }) => subject);
  for (const filter of singles) await lanes.run(() => manager.streams.purge(results, { filter, seq }));
  const places = placesOf(chosen);
  const packs = Map.groupBy(chosen.filter(isPacked), ({ subject }) => subject);
  const note = { state: "cancelled", error: encodeError(new CallDeleted()) };
  for (const [subject, of] of packs) {
    const taken = of.map(({ index }) => index);
    const { datacenter } = parseOutcome(subject);
    await lanes.run(async () => {
      if (!(await takeOut(access, subject, taken, note))) return;
      for (const index of taken) places.set(index, { kind: "result", datacenter });
    });
  }
  await lanes.done();
  return places;
}

async function leaveNotes(access: TagAccess, control: ControlState, places: ReadonlyMap<number, OutcomePlace>) {
  const notes = new OwnOutcomes(access, "cancelled");
  for await (const { first, count, generation, hash } of new StoredCalls(access).of(rangesOf(places.keys()))) {
    for (let index = first; index < first + count; index++) {
      const place = places.get(index);
      if (place === undefined || control.generationOf(index) !== generation) continue;
      await notes.add({ index, generation, callHash: hash }, new CallDeleted(), place);
    }
  }
  await notes.flush();
}

async function removeOutput({ session, u, manifest }: TagAccess, indices: Iterable<number>): Promise<void> {
  const manager = await purgeManager(session.nc);
  const lanes = new Lanes(PURGES_AT_ONCE);
  for (const index of indices) {
    const filter = subjectOf.log(u, manifest.tag, index);
    await lanes.run(() => manager.streams.purge(streamOf.logs(u), { filter }));
  }
  await lanes.done();
}

export interface Chosen {
  calls: readonly CallRange[];
  /** Undefined for any. */
  states: ReadonlySet<string> | undefined;
  downloadedOnly: boolean;
  force: boolean;
}

/**
 * Deletes what the chosen calls ended with; those that have not ended are cancelled.
 * @param archive what was pulled; undefined where nothing was
 * @returns how many calls
 * @throws NotPulledError where something would be lost and `force` is not set
 */
export async function deleteSome(
  access: TagAccess,
  archive: Archive | undefined,
  { calls, states, downloadedOnly, force }: Chosen,
): Promise<number> {
  const { tag } = access.manifest;
  if (downloadedOnly && archive === undefined) {
    throw new UsageError(`${tag}: nothing of it was downloaded, so there is nothing to delete`);
  }
  const control = await readOwnControl(access);
  const stored = await listPlaces(access);
  const subjects = stored.subjects.flatMap((subject) =>
    Array.from(callsOf([subject]), (index) => ({ subject, index })),
  );
  const ended = new Set(subjects.map(({ index }) => index));
  const known = states === undefined ? undefined : await statesOf(access, control, stored.subjects);
  const chosen = subjects.filter(({ index }) => {
    if (rangeAt(calls, index) === undefined || (downloadedOnly && !isHeld(archive, control, index))) return false;
    return states === undefined || states.has(known?.get(index) ?? "");
  });
  const unfetched = chosen.filter(({ index }) => !isHeld(archive, control, index)).length;
  if (unfetched > 0 && !force) throw new NotPulledError(tag, unfetched);
  let open: number[] = [];
  if (!downloadedOnly && (states === undefined || OPEN_STATES.some((state) => states.has(state)))) {
    const pending = states === undefined ? undefined : await pendingCalls(access, control);
    open = Array.from(indicesOf(calls)).filter(
      (index) =>
        !ended.has(index) && (pending === undefined || states?.has(pending.has(index) ? "pending" : "running")),
    );
  }
  const cancelled = open.length === 0 ? 0 : await cancelCalls(access, rangesOf(open), REASON);
  const deleted = chosen.map(({ index }) => index);
  if (chosen.length > 0) {
    // Until the notes are there these calls look as if their outcomes had been lost, and this process may be killed.
    await recordCancel(access, rangesOf(deleted), REASON);
    const places = await removeOutcomes(access, chosen, stored, chosen.length === subjects.length);
    await leaveNotes(access, control, places);
  }
  if (!downloadedOnly) await removeOutput(access, [...deleted, ...open]);
  return chosen.length + cancelled;
}
