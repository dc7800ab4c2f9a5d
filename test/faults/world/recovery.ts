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
  /** Of this load only. Default: of all. */
  load?: string;
}

export interface Recovery {
  death: Death;
  /** The run that ended with its worker. */
  victim: Run;
  /** The next of the same call. */
  next: Run;
  tookMs: number;
}

/** After an outage leases begin anew, and everybody has to find back. */
const AFTERMATH_MS = 15_000;

/**
 * Calls that ran when their worker vanished, and began again: the slowest first. A call that did not was cancelled, or
 * had crashed already; that every call has its outcome is the checker's affair.
 * @param outages recoveries that met one are left out
 */
export function recoveries(
  runs: readonly Run[],
  deaths: readonly Death[],
  outages: readonly Outage[] = [],
): Recovery[] {
  const ended = new Set(runs.filter(({ what }) => what === "ended").map(({ run }) => run));
  const begun = Map.groupBy(
    runs.filter(({ what }) => what === "begun"),
    ({ load, index }) => `${load} ${index}`,
  );
  const found: Recovery[] = [];
  for (const death of deaths) {
    for (const [, calls] of begun) {
      const victim = calls.findLast(({ atMs }) => atMs <= death.atMs);
      if (victim === undefined || victim.worker !== death.worker || ended.has(victim.run)) continue;
      const next = calls.find(({ atMs }) => atMs > death.atMs);
      if (next === undefined) continue;
      const met = ({ fromMs, toMs, load }: Outage) =>
        fromMs < next.atMs && toMs + AFTERMATH_MS > death.atMs && (load ?? victim.load) === victim.load;
      if (!outages.some(met)) found.push({ death, victim, next, tookMs: next.atMs - death.atMs });
    }
  }
  return found.sort((a, b) => b.tookMs - a.tookMs);
}
