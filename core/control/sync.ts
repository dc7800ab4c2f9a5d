/** Bringing an archive up to what was cancelled and retried of its tag, here or elsewhere. */
import { setTimeout as delay } from "node:timers/promises";
import type { Archive } from "../archive/index.ts";
import { RefusedError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { joinRanges, rangeAt, rangesOf } from "./calls.ts";
import { endedCalls, settleCancelled } from "./cancel.ts";
import { placeParked } from "./place.ts";
import { type ControlState, readOwnControl } from "./state.ts";
import { StoredCalls } from "./stored.ts";

/** A replica of the stream may lag behind for a moment. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 200;

function lastRetry({ retries }: ControlState): number {
  return retries.at(-1)?.number ?? 0;
}

/** What was said of the tag. @param known number of the last retry that was seen */
async function readRetries(access: TagAccess, known: number): Promise<ControlState> {
  let control = await readOwnControl(access);
  for (let looks = 1; lastRetry(control) < known && !control.deleted && looks < LOOKS; looks++) {
    await delay(LOOK_AGAIN_MS);
    control = await readOwnControl(access);
  }
  const last = lastRetry(control);
  if (last >= known || control.deleted) return control;
  const { tag } = access.manifest;
  throw new RefusedError(
    `the broker holds ${last === 0 ? "no retry" : `retries up to number ${last}`} of ${tag}, and this archive has seen number ${known}: ` +
      "the broker was restored from an older backup, or holds back what is newer. Nothing was pulled. What the archive has stays; to go " +
      `by what the broker holds now, pull into a new file: humq pull ${tag} NEW.db`,
  );
}

/**
 * Calls that were retried since are open again in the archive, with the hash of their new message.
 * @throws RefusedError where the broker does not hold a retry any more that the archive has seen: what it holds instead may
 *   be what calls ended with before
 */
export async function syncRetries(access: TagAccess, archive: Archive): Promise<ControlState> {
  const known = archive.getMeta("retries") ?? 0;
  const control = await readRetries(access, known);
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
