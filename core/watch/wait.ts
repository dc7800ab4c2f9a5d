/** Waiting for a tag without fetching its results. */
import type { Archive } from "../archive/index.ts";
import { lastSequence } from "../broker/follow.ts";
import { streamOf } from "../broker/names.ts";
import { syncRetries } from "../control/sync.ts";
import { UsageError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import { shown } from "../shown.ts";
import type { TagAccess } from "../tag/access.ts";
import { outcomeEvents } from "./events.ts";

export interface WaitOptions {
  /**
   * `"done"`: until every call has ended. `"first-error"`: until one ended otherwise than succeeded, or all have ended.
   * A number: until so many have ended. Default `"done"`.
   */
  until?: "done" | "first-error" | number;
  /** Gives up; the wait then throws the signal's reason. */
  signal?: AbortSignal;
}

/** How far the tag was when the wait was over. */
export interface Waited {
  ended: number;
  succeeded: number;
  /** Calls that ended otherwise than succeeded. */
  errors: number;
}

const WAIT_OPTIONS = ["until", "signal"] as const satisfies (keyof WaitOptions)[];

export function checkWait(options: WaitOptions, calls: number): void {
  checkKnown("wait option", options, WAIT_OPTIONS);
  const { until = "done" } = options;
  if (until === "done" || until === "first-error") return;
  if (typeof until === "number" && Number.isInteger(until) && until >= 0 && until <= calls) return;
  throw new UsageError(
    `wait option until: expected "done", "first-error" or a number of calls from 0 to ${calls}, got ${shown(until)}`,
  );
}

/** Calls that have ended in the same way. */
interface Tally {
  state: string;
  calls: number;
}

/**
 * What was pulled, and where that ends. Undefined where the broker was restored to an older state: it numbers outcomes anew,
 * and all of them are looked at.
 */
async function pulled({ session, u }: TagAccess, archive: Archive, calls: number) {
  if ((await lastSequence(session.nc, streamOf.results(u))) < archive.readPosition) return undefined;
  const { results, errors, byState } = archive.counts();
  const seen = new Uint8Array(calls).fill(1);
  for (const index of archive.openIndices()) seen[index] = 0;
  const tally = Object.entries(byState).map(([state, ended]): Tally => ({ state, calls: ended }));
  return { tally, start: { position: archive.readPosition, seen, left: calls - results - errors } };
}

/** As {@link outcomeEvents}, counted; what was pulled is not looked at again. */
export async function* tallies(access: TagAccess, archive: Archive, signal?: AbortSignal): AsyncGenerator<Tally> {
  const { closing } = access;
  let known: Awaited<ReturnType<typeof pulled>>;
  if (closing !== undefined && archive.readPosition > 0) {
    await syncRetries(access, archive);
    known = await pulled(access, archive, closing.calls);
  }
  for (const { state, calls } of known?.tally ?? []) if (calls > 0) yield { state, calls };
  for await (const { state } of outcomeEvents(access, archive, signal, known?.start)) yield { state, calls: 1 };
}

/** Counts what has ended until what was waited for has happened. */
export async function waitFor(ended: AsyncIterable<Tally>, options: WaitOptions): Promise<Waited> {
  const { until = "done", signal } = options;
  const waited: Waited = { ended: 0, succeeded: 0, errors: 0 };
  if (until === 0) return waited;
  for await (const { state, calls } of ended) {
    waited.ended += calls;
    if (state === "succeeded") waited.succeeded += calls;
    else waited.errors += calls;
    const isEnough = typeof until === "number" ? waited.ended >= until : until === "first-error" && waited.errors > 0;
    if (isEnough) return waited;
  }
  signal?.throwIfAborted();
  return waited;
}
