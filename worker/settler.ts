/** What comes of a message's calls when its executor is done with them: outcomes, another attempt, or a hand-back. */
import { BrokerError, RefusedError } from "../core/errors.ts";
import type { ErrorState } from "../core/outcome.ts";
import { CallLost, CallRefused, crashError, isKilledFromOutside, isOverLimit } from "./call-errors.ts";
import type { CallJob } from "./call-job.ts";
import type { EndCause, JobEnd, Outcome } from "./executor/job.ts";
import type { OutcomeStore } from "./outcome-store.ts";

/** What is left of the message runs on; or it is handed back, and with `rest` its tag is left alone for a moment. */
export type Next = "go on" | "hand back" | "rest";

function mayTryAgain(job: CallJob): boolean {
  return (job.attempt ?? 1) < job.tag.runnable.options.attempts;
}

export class Settler {
  readonly #store: OutcomeStore;
  readonly #worker: string;

  /** @param worker name of this worker */
  constructor(store: OutcomeStore, worker: string) {
    this.#store = store;
    this.#worker = worker;
  }

  /** A call came to its outcome. */
  outcome(job: CallJob, outcome: Outcome): void {
    const { index, kind, permanent } = outcome;
    if (kind === "pack") {
      job.remaining.endedTo(index + job.count);
      void this.#store.pack(job, outcome.sealed);
      return;
    }
    const again = kind === "error" && permanent !== true && mayTryAgain(job);
    job.remaining.ended(index, again);
    if (again) job.spills.delete(index);
    else void this.#store.outcome(job, outcome);
  }

  /** Calls `from` up to but not `to` end with an error that is not their own. */
  errors(job: CallJob, from: number, to: number, error: unknown, state: ErrorState): void {
    for (let index = from; index < to; index++) {
      job.remaining.ended(index, false);
      void this.#store.error(job, index, error, state);
    }
  }

  /**
   * Stores what a job's end says beyond its outcomes.
   * @param stopping whether the worker stops: executors that end then say nothing about their calls
   */
  end(job: CallJob, end: JobEnd, stopping: boolean): Next {
    const { state } = end;
    const { from = job.first, to = job.first + job.count } = job;
    switch (state) {
      case "done":
        return "go on";
      case "refused":
        this.errors(job, from, to, new CallRefused(end.reason), "refused");
        return "go on";
      case "crashed":
        return this.#crash(job, end, stopping);
      case "returned":
        if (stopping || end.error === undefined) return "hand back";
        if (end.error instanceof BrokerError) return "rest";
        this.errors(job, from, to, end.error, end.error instanceof RefusedError ? "refused" : "failed");
        return "go on";
      default: {
        const never: never = state;
        throw new Error(`a job ended ${String(never)}`);
      }
    }
  }

  #crash(job: CallJob, { index, cause }: Extract<JobEnd, { state: "crashed" }>, stopping: boolean): Next {
    const killed = isOverLimit(cause);
    if (!killed && (stopping || job.abandoned)) return "hand back";
    if (job.unsent) return "rest";
    if (isKilledFromOutside(cause)) return this.#lose(job, index, cause);
    const again = !killed && mayTryAgain(job);
    job.remaining.ended(index, again);
    if (!again) void this.#store.error(job, index, crashError(cause), killed ? "killed" : "failed", cause);
    return "go on";
  }

  /** As if the worker had vanished with it: it is no fault of the call's, as far as anybody knows. */
  #lose(job: CallJob, index: number, cause: EndCause): Next {
    job.lostOn.push(this.#worker);
    job.losses = job.lostOn.length;
    if (job.losses < job.tag.runnable.options.maxLosses) return "hand back";
    job.attempt = (job.attempt ?? 1) - 1;
    job.remaining.ended(index, false);
    void this.#store.error(job, index, new CallLost(job.lostOn, cause), "lost", cause);
    return "go on";
  }
}
