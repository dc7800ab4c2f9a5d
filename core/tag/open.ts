/** Opening stored outcomes on their way into an archive; what is no outcome of its call is passed over, or removed. */
import type { Archive, Outcome } from "../archive/index.ts";
import type { Followed } from "../broker/follow.ts";
import { parseOutcome, streamOf } from "../broker/names.ts";
import { purgeManager } from "../broker/purge.ts";
import { rouseWorkers } from "../control/pause.ts";
import { generationOf, sendAgain } from "../control/place.ts";
import type { ControlState } from "../control/state.ts";
import { StoredCalls } from "../control/stored.ts";
import { syncRetries } from "../control/sync.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import { isOtherVersion } from "../trust/outcome.ts";
import type { TagAccess } from "./access.ts";
import { Ahead } from "./ahead.ts";
import { openAtOnce, openOutcome } from "./outcome.ts";
import { bindingsOf, openPacked } from "./pack.ts";
import { isPlace } from "./stored.ts";

/** A tag as it is being pulled. */
export interface Pulling {
  access: TagAccess;
  archive: Archive;
  /** As last read; changes where calls are retried meanwhile. */
  control: ControlState;
}

/** A message of the results bucket. */
export type StoredOutcome = Pick<Followed, "subject" | "data" | "seq">;

/** One outcome, or those of a pack. */
async function openOrThrow({ access, archive, control }: Pulling, { subject, data }: StoredOutcome) {
  const { kind, index } = parseOutcome(subject);
  if (kind === "pack") return openPacked(access, subject, data, bindingsOf(archive, control));
  return [await openOutcome(access, subject, data, archive.hashOf(index), control.generationOf(index))];
}

async function openOne(pulling: Pulling, stored: StoredOutcome): Promise<Outcome[] | undefined> {
  try {
    return await openOrThrow(pulling, stored);
  } catch (error) {
    // A forged or damaged outcome says nothing about the call: it stays open.
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    return undefined;
  }
}

/** Removes what is stored in the place of a call's outcome, and has the call run once more. */
async function runAgain({ access }: Pulling, { subject, seq }: StoredOutcome): Promise<void> {
  const manager = await purgeManager(access.session.nc);
  await manager.streams.purge(streamOf.results(access.u), { filter: subject, seq: seq + 1 });
  try {
    const call = await new StoredCalls(access).find(parseOutcome(subject).index);
    if (call.kept) return;
    await sendAgain(access, call);
    await rouseWorkers(access);
  } catch (error) {
    // It is found as missing the next time.
    if (!(error instanceof InstanceError || error instanceof RefusedError || error instanceof DecodeError)) throw error;
  }
}

/** Values that are held before they are filed, in bytes. */
const FILED_BYTES = 8 * 2 ** 20;

/** Outcomes that were opened, and the last message that was looked at for them. */
interface Opened {
  outcomes: Outcome[];
  last: StoredOutcome;
}

/**
 * Opens stored outcomes, a part of them at a time where they are large; what does not open is not an outcome of ours, and is
 * passed over.
 */
export async function* openAll(pulling: Pulling, stored: readonly StoredOutcome[]): AsyncGenerator<Opened> {
  const calls = pulling.access.closing?.calls ?? 0;
  let outcomes: Outcome[] = [];
  let bytes = 0;
  const ahead = new Ahead(pulling.access, stored, (one) => openOne(pulling, one));
  const late = new Map<number, StoredOutcome>();
  const names = stored.map(({ subject }) => parseOutcome(subject));
  const readHashes = () => pulling.archive.hashesOf(names.map(({ index }) => index));
  let hashes = readHashes();
  for (const [i, one] of stored.entries()) {
    const { kind, index, count } = names[i]!;
    // A message under a call's name that no call has may have been refused by a worker.
    if (!(index + count <= calls) || !isPlace(pulling.access, names[i]!)) continue;
    const { access, control } = pulling;
    const isPack = kind === "pack";
    const single = isPack
      ? undefined
      : openAtOnce(access, one.subject, one.data, hashes[i], control.generationOf(index));
    let opened = single === undefined ? await ahead.open(i) : [single];
    // A pack keeps nobody's place but that of the same chunk, all of whose calls it answers.
    if (opened === undefined && !isPack) {
      const generation = generationOf(one.data) ?? 0;
      if (generation > pulling.control.generationOf(index)) {
        pulling.control = await syncRetries(pulling.access, pulling.archive);
        hashes = readHashes();
        opened = await openOne(pulling, one);
      } else if (generation < pulling.control.generationOf(index)) late.set(index, one);
    }
    if (opened === undefined) continue;
    for (const outcome of opened) {
      outcomes.push(outcome);
      late.delete(outcome.index);
      bytes += (outcome.value ?? outcome.error)!.length;
    }
    if (bytes < FILED_BYTES) continue;
    yield { outcomes, last: one };
    [outcomes, bytes] = [[], 0];
  }
  // A worker that had vanished and came back has taken the place of the call's own outcome: it runs once more.
  for (const [index, outcome] of late) {
    if (pulling.archive.openIndices([index]).next().done !== true) await runAgain(pulling, outcome);
  }
  const last = stored.at(-1);
  if (last !== undefined) yield { outcomes, last };
}

/**
 * What keeps the place of an open call's outcome and is none: it was forged, or the parts of its value were lost. The
 * call runs once more; where it is a pack, its whole chunk does.
 * @param index of the call
 * @returns the outcome, with those it came with; none where it does not open after all
 * @throws InstanceError where it was sealed for this call, and only its form is not known here
 */
export async function openOrRunAgain(pulling: Pulling, stored: StoredOutcome, index: number): Promise<Outcome[]> {
  const { access, archive, control } = pulling;
  const call = await new StoredCalls(access).find(index).catch(() => undefined);
  // Where two clients retried it at the same time, the archive may hold the hash of the other's message.
  if (call !== undefined && call.generation >= control.generationOf(index)) archive.putHashes(index, [call.hash]);
  try {
    return await openOrThrow(pulling, stored);
  } catch (error) {
    const sealedForIt = generationOf(stored.data) !== undefined || isOtherVersion(stored.data);
    if (error instanceof DecodeError && sealedForIt) {
      throw new InstanceError(
        `the outcome of call ${index} of ${access.manifest.tag} is in a form that is not known here: ${error.message}. ` +
          "It was written by a newer humq: update this one.",
        { cause: error },
      );
    }
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    await runAgain(pulling, stored);
    return [];
  }
}
