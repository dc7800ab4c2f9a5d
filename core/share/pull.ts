/** Pulling what somebody else's calls ended with: one request a call, since nothing else of theirs can be asked for. */
import { setTimeout as delay } from "node:timers/promises";
import type { Archive, Outcome } from "../archive/index.ts";
import { Lanes } from "../broker/lanes.ts";
import { parseOutcome } from "../broker/names.ts";
import type { ControlState } from "../control/state.ts";
import { showProgress } from "../progress.ts";
import { expiredError, hasExpired, UntilExpired } from "../tag/expiry.ts";
import { openOutcome } from "../tag/outcome.ts";
import { openPacked } from "../tag/pack.ts";
import { checkPull, checkSubset, type PullOptions } from "../tag/pull.ts";
import { readRetries, type SharedAccess } from "./access.ts";
import { readQueue } from "./queue.ts";
import { type Opening, SharedOutcomes } from "./stored.ts";

/** Requests under way at once. */
const AT_ONCE = 256;
/** Values that are held before they are filed, in bytes. */
const FILED_BYTES = 8 * 2 ** 20;
const DEFAULT_BATCH = 1000;
const LOOK_MS = 1_000;
/** After a look that took long the next is later, so that the broker is not kept busy by readers who wait. */
const REST = 4;
/** Where the queue stands still, and something is open: an outcome may come without it. */
const LOOK_MOST_MS = 30_000;

function openingOf(access: SharedAccess, control: ControlState): Opening<Outcome> {
  const generationOf = (index: number) => control.generationOf(index);
  const bindings = { hashOf: () => undefined, generationOf };
  return {
    one: ({ subject, data }) =>
      openOutcome(access, subject, data, undefined, generationOf(parseOutcome(subject).index)),
    pack: async ({ subject, data }) => {
      const outcomes = await openPacked(access, subject, data, bindings);
      return new Map(outcomes.map((outcome) => [outcome.index, outcome]));
    },
  };
}

/** Calls that were sent anew since the last pull are open again. */
async function syncRetries(access: SharedAccess, archive: Archive): Promise<ControlState> {
  const control = await readRetries(access);
  const known = archive.getMeta("retries") ?? 0;
  const newer = control.retries.filter(({ number }) => number > known);
  if (newer.length === 0) return control;
  archive.reopen(newer.flatMap(({ calls }) => calls));
  archive.setMeta("retries", newer.at(-1)!.number);
  return control;
}

interface Reading {
  access: SharedAccess;
  archive: Archive;
  wanted: ReadonlySet<number> | undefined;
  batchSize: number;
  signal: AbortSignal;
  onFiled: () => void;
}

/** Asks once for all that is open. */
async function sweep({ access, archive, wanted, batchSize, signal, onFiled }: Reading): Promise<void> {
  const control = await syncRetries(access, archive);
  let batch: Outcome[] = [];
  let bytes = 0;
  const file = () => {
    if (batch.length === 0) return;
    archive.putOutcomes(batch, 0);
    [batch, bytes] = [[], 0];
    onFiled();
  };
  const lanes = new Lanes(AT_ONCE);
  const outcomes = new SharedOutcomes(access, openingOf(access, control));
  for (const index of archive.openIndices(wanted)) {
    if (signal.aborted) break;
    await lanes.run(async () => {
      const outcome = await outcomes.read(index);
      if (outcome === undefined) return;
      batch.push(outcome);
      bytes += (outcome.value ?? outcome.error)!.length;
      if (batch.length >= batchSize || bytes >= FILED_BYTES) file();
    });
  }
  await lanes.done();
  file();
}

/** Resolves when the tag's queue has moved, or after a while. */
async function untilMoved(access: SharedAccess, tookMs: number, signal: AbortSignal): Promise<void> {
  const before = await readQueue(access);
  const beganMs = performance.now();
  do {
    await delay(Math.min(LOOK_MOST_MS, Math.max(LOOK_MS, REST * tookMs)), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const now = await readQueue(access);
    if (JSON.stringify(now) !== JSON.stringify(before) || (now?.running ?? 0) > 0) return;
  } while (performance.now() - beganMs < LOOK_MOST_MS);
}

/**
 * As `pull` of one's own tags; nothing that the broker lost is mended, which is the owner's to do.
 * @returns how many calls (of the subset, where one is given) are still open
 */
export async function pullShared(
  access: SharedAccess,
  archive: Archive,
  options: PullOptions,
  onFiled: () => void = () => undefined,
): Promise<number> {
  checkPull(options);
  const { manifest, share } = access;
  const { blocking = false, batchSize = DEFAULT_BATCH, quiet = false } = options;
  const wanted = options.subset === undefined ? undefined : checkSubset(options.subset, share.calls);
  const countOpen = () => {
    if (wanted !== undefined) return [...archive.openIndices(wanted)].length;
    const { results, errors } = archive.counts();
    return share.calls - results - errors;
  };
  if (hasExpired(manifest)) {
    if (countOpen() === 0) return 0;
    throw expiredError(manifest);
  }
  const total = wanted?.size ?? share.calls;
  const progress = showProgress("pull", total, quiet);
  using until = new UntilExpired(manifest, options.signal);
  const { signal } = until;
  const filed = () => {
    progress.update(total - countOpen());
    onFiled();
  };
  try {
    for (;;) {
      const beganMs = performance.now();
      await sweep({ access, archive, wanted, batchSize, signal, onFiled: filed });
      if (!blocking || signal.aborted || countOpen() === 0) break;
      await untilMoved(access, performance.now() - beganMs, signal);
      if (signal.aborted) break;
    }
  } finally {
    progress.stop();
  }
  const left = countOpen();
  if (left > 0) until.check();
  return left;
}
