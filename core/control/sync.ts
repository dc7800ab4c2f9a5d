/** Bringing an archive up to what was cancelled and retried of its tag, here or elsewhere. */
import type { Archive } from "../archive/index.ts";
import type { TagAccess } from "../tag/access.ts";
import { joinRanges, rangeAt, rangesOf } from "./calls.ts";
import { endedCalls, settleCancelled } from "./cancel.ts";
import { placeParked } from "./place.ts";
import { type ControlState, readOwnControl } from "./state.ts";
import { StoredCalls } from "./stored.ts";

/** Calls that were retried since are open again in the archive, with the hash of their new message. */
export async function syncRetries(access: TagAccess, archive: Archive): Promise<ControlState> {
  const control = await readOwnControl(access);
  const known = archive.getMeta("retries") ?? 0;
  const newer = control.retries.filter(({ number }) => number > known);
  if (newer.length === 0) return control;
  await placeParked(access, control);
  const ranges = joinRanges(newer.flatMap(({ calls }) => calls));
  for await (const { first, count, generation, hash } of new StoredCalls(access).of(ranges)) {
    for (let index = first; index < first + count; index++) {
      if (rangeAt(ranges, index) !== undefined && control.generationOf(index) === generation)
        archive.putHashes(index, [hash]);
    }
  }
  archive.reopen(newer.flatMap(({ calls }) => calls));
  archive.setMeta("retries", newer.at(-1)!.number);
  return control;
}

/** A cancel that was cut off is brought to its end: its open calls get their outcome.*/
export async function finishCancel(access: TagAccess, archive: Archive, control: ControlState): Promise<void> {
  if (control.cancel === undefined) return;
  const open = archive
    .openIndices()
    .filter((index) => control.cancelled(index, control.generationOf(index)) !== undefined);
  const ranges = rangesOf(open);
  if (ranges.length > 0) await settleCancelled(access, control, ranges, await endedCalls(access));
}
