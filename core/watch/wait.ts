/** Waiting for a tag without fetching its results. */
import { UsageError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import { shown } from "../shown.ts";
import type { TagEvent } from "./events.ts";

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

/** Counts events until what was waited for has happened. */
export async function waitFor(events: AsyncIterable<TagEvent>, options: WaitOptions): Promise<Waited> {
  const { until = "done", signal } = options;
  const waited: Waited = { ended: 0, succeeded: 0, errors: 0 };
  if (until === 0) return waited;
  for await (const { state } of events) {
    waited.ended++;
    if (state === "succeeded") waited.succeeded++;
    else waited.errors++;
    if (waited.ended === until || (until === "first-error" && waited.errors > 0)) return waited;
  }
  signal?.throwIfAborted();
  return waited;
}
