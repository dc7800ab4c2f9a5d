/** How long the calls of a worker that vanished wait until they run elsewhere. */
import type { Run } from "../check/history.ts";

export interface Death {
  /** The label of a worker. */
  worker: string;
  /** When it was killed, in milliseconds since 1970. */
  atMs: number;
}

/** Of the calls that ran when their worker vanished: the longest time until one began again, in milliseconds. */
export function slowestRecovery(runs: readonly Run[], deaths: readonly Death[]): number {
  const ended = new Set(runs.filter(({ what }) => what === "ended").map(({ run }) => run));
  const begun = runs.filter(({ what }) => what === "begun");
  let slowestMs = 0;
  for (const { worker, atMs } of deaths) {
    for (const victim of begun) {
      if (victim.worker !== worker || victim.atMs > atMs || ended.has(victim.run)) continue;
      const next = begun.find((run) => run.load === victim.load && run.index === victim.index && run.atMs > atMs);
      // Without one it was cancelled, or crashed before; that every call has its outcome is the checker's affair.
      if (next !== undefined) slowestMs = Math.max(slowestMs, next.atMs - atMs);
    }
  }
  return slowestMs;
}
