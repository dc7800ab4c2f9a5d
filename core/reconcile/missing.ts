/** Calls whose messages are gone from the broker: they can never run, and end as `lost`. */
import { Lanes } from "../broker/lanes.ts";
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { purgeManager } from "../broker/purge.ts";
import { OwnOutcomes } from "../control/own-outcomes.ts";
import type { ControlState } from "../control/state.ts";
import { StoredCalls } from "../control/stored.ts";
import { CallEndError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { NO_CALL } from "../trust/outcome.ts";
import { readLiving } from "./queue.ts";

const AT_ONCE = 16;

/** What a call ends with that the broker does not hold any more. */
export class CallGone extends CallEndError {
  constructor() {
    super(
      "call-gone",
      "the broker does not hold this call any more, or not as you signed it: it was deleted there, or is not in the backup " +
        "from which the broker was restored. It cannot run; submit it again.",
    );
  }
}

/**
 * Looks for the message once more, wherever it may lie, and asks the stream's leader: a direct get may be answered by a
 * replica that lags behind.
 */
async function isThere(access: TagAccess, control: ControlState, index: number): Promise<boolean> {
  const { session, u, manifest, options } = access;
  const { tag } = manifest;
  const first = index - (index % options.chunkSize);
  const calls = new StoredCalls(access);
  const manager = await purgeManager(session.nc);
  const places = [index, first].flatMap((at) => [
    { stream: streamOf.calls(u), subject: subjectOf.call(u, tag, at) },
    { stream: streamOf.arguments(u), subject: subjectOf.keptChunk(u, tag, at) },
    { stream: streamOf.arguments(u), subject: subjectOf.nextCall(u, tag, at) },
    // Whoever moves a message has parked it before, and put it in its place before it is parked no more.
    { stream: streamOf.calls(u), subject: subjectOf.call(u, tag, at) },
  ]);
  for (const { stream, subject } of places) {
    const stored = await manager.streams.getMessage(stream, { last_by_subj: subject });
    const call = stored === null ? undefined : calls.tryCheck(stored.data, indexOf(subject));
    if (call === undefined || index >= call.first + call.count) continue;
    if (call.generation === control.generationOf(index)) return true;
  }
  return false;
}

/**
 * Those of the calls whose messages are really gone.
 * @param control as it was before it was looked which calls have outcomes
 */
export async function findGone(
  access: TagAccess,
  control: ControlState,
  indices: readonly number[],
): Promise<number[]> {
  if (indices.length === 0) return [];
  const gone: number[] = [];
  const lanes = new Lanes(AT_ONCE);
  for (const index of indices) {
    await lanes.run(async () => {
      if (!(await isThere(access, control, index))) gone.push(index);
    });
  }
  await lanes.done();
  // Calls that were retried meanwhile have other messages, and those of a deleted tag need none.
  const now = await readLiving(access);
  return now?.retries.length === control.retries.length ? gone.sort((a, b) => a - b) : [];
}

/** Gives calls that can never run their outcome. */
export async function settleGone(access: TagAccess, control: ControlState, indices: readonly number[]): Promise<void> {
  const outcomes = new OwnOutcomes(access, "lost");
  for (const index of indices) {
    await outcomes.add({ index, generation: control.generationOf(index), callHash: NO_CALL }, new CallGone());
  }
  await outcomes.flush();
}
