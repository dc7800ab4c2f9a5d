/** How long the calls of a worker that vanished wait until they run elsewhere. */
import type { Run } from "../check/history.ts";

export interface Death {
  /** The label of a worker. */
  worker: string;
  /** When it was killed, in milliseconds since 1970. */
  atMs: number;
}

/** A time in which nothing could recover, in milliseconds since 1970. */
export interface Outage {
  fromMs: number;
  toMs: number;
}

/** After an outage leases begin anew, and everybody has to find back. */
const AFTERMATH_MS = 15_000;

/**
 * Of the calls that ran when their worker vanished: the longest time until one began again, in milliseconds.
 * @param outages deaths whose recovery met one are left out
 */
export function slowestRecovery(
  runs: readonly Run[],
  deaths: readonly Death[],
  outages: readonly Outage[] = [],
): number {
  const ended = new Set(runs.filter(({ what }) => what === "ended").map(({ run }) => run));
  const begun = runs.filter(({ what }) => what === "begun");
  let slowestMs = 0;
  for (const { worker, atMs } of deaths) {
    for (const victim of begun) {
      if (victim.worker !== worker || victim.atMs > atMs || ended.has(victim.run)) continue;
      // None where it was cancelled, or had crashed; that every call has its outcome is the checker's affair.
      const next = begun.find((run) => run.load === victim.load && run.index === victim.index && run.atMs > atMs);
      if (next === undefined) continue;
      if (outages.some(({ fromMs, toMs }) => fromMs < next.atMs && toMs + AFTERMATH_MS > atMs)) continue;
      slowestMs = Math.max(slowestMs, next.atMs - atMs);
    }
  }
  return slowestMs;
}
