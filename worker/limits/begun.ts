/**
 * Notes on the broker which worker has begun with what, so that a worker that vanishes is known by name.
 *
 * A note costs a message, so a call gets one only when it has run for a while, or when it was delivered before and so may
 * have taken a worker down. Nothing waits for a note: one that cannot be written is left out.
 */
import type { CallJob } from "../call-job.ts";
import type { History } from "./history.ts";

const LONG_MS = 2_000;
const LOOK_MS = 1_000;

export class BegunNotes {
  readonly #history: History;
  readonly #noted = new WeakSet<CallJob>();
  readonly #timer: NodeJS.Timeout;

  /** @param jobs all that this worker has in hand */
  constructor(history: History, jobs: ReadonlySet<CallJob>) {
    this.#history = history;
    this.#timer = setInterval(() => this.#look(jobs), LOOK_MS);
    this.#timer.unref();
  }

  /** An executor has begun with a job. */
  begun(job: CallJob): void {
    if (job.delivery !== undefined && job.delivery.delivered > 1) this.#note(job);
  }

  #look(jobs: ReadonlySet<CallJob>): void {
    const longAgoMs = performance.now() - LONG_MS;
    for (const job of jobs) if (job.running && !job.ran && job.startedMs <= longAgoMs) this.#note(job);
  }

  #note(job: CallJob): void {
    if (job.delivery === undefined || this.#noted.has(job)) return;
    this.#noted.add(job);
    const atMs = Math.round(Date.now() - (performance.now() - job.startedMs));
    this.#history.writeBegun(job, job.delivery, atMs).catch(() => undefined);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
