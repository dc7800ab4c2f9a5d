import { setTimeout as delay } from "node:timers/promises";
import { encodeOutcome } from "../../core/outcome.ts";
import { seal } from "../../core/trust/seal.ts";
import { encodeResult } from "../../core/values/index.ts";
import type { CallJob } from "../../worker/call-job.ts";
import type { JobEnd, JobHandlers, Outcome, TagSetup } from "../../worker/executor/job.ts";
import type { Executors } from "../../worker/parts.ts";

/**
 * In place of executors: each call "runs" for a while without a process, and gives its index. Everything around it (pull, checks,
 * audit, seals, outcomes, leases) is the worker's own.
 */
export class LightExecutors implements Executors {
  readonly #handlers: JobHandlers<CallJob>;
  readonly #callMs: number;
  readonly #worker: string;
  readonly #tags = new Map<string, TagSetup>();
  readonly #ends = new Map<CallJob, AbortController>();
  #slots: number;
  readonly #waiting: (() => void)[] = [];
  readonly reservedBytes = 0;

  constructor(slots: number, callMs: number, worker: string, handlers: JobHandlers<CallJob>) {
    this.#slots = slots;
    this.#callMs = callMs;
    this.#worker = worker;
    this.#handlers = handlers;
  }

  knows(tagId: string): boolean {
    return this.#tags.has(tagId);
  }

  addTag(setup: TagSetup): void {
    this.#tags.set(setup.tagId, setup);
  }

  dropTag(tagId: string): void {
    this.#tags.delete(tagId);
  }

  async prewarm(): Promise<void> {}

  async run(job: CallJob): Promise<JobEnd> {
    const ended = new AbortController();
    this.#ends.set(job, ended);
    if (this.#slots > 0) this.#slots--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#run(job, ended.signal);
    } finally {
      this.#ends.delete(job);
      const next = this.#waiting.shift();
      if (next === undefined) this.#slots++;
      else next();
    }
  }

  async #run(job: CallJob, signal: AbortSignal): Promise<JobEnd> {
    const { rootKey, user, tag, tagKey } = this.#tags.get(job.tagId)!;
    const { first, count, from = first, to = first + count, generation, callHash } = job;
    const outcomes: Outcome[] = [];
    if (signal.aborted) return { state: "returned", outcomes, reason: "killed" };
    this.#handlers.onRunning?.(job);
    for (let index = from; index < to; index++) {
      const startedMs = Date.now();
      await delay(this.#callMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return { state: "returned", outcomes, reason: "killed" };
      const context = { rootKey, user, tag, kind: "result", first: index, count: 1, generation, callHash } as const;
      const meta = {
        startedMs,
        durationMs: this.#callMs,
        worker: this.#worker,
        attempts: job.attempt ?? 1,
        losses: job.losses,
      };
      const sealed = seal(tagKey, context, encodeOutcome(meta, encodeResult(index)));
      const outcome: Outcome = { index, kind: "result", sealed, parts: 0 };
      outcomes.push(outcome);
      this.#handlers.onOutcome?.(job, outcome);
    }
    return { state: "done", outcomes };
  }

  kill(job: CallJob): void {
    this.#ends.get(job)?.abort();
  }

  async stop(): Promise<void> {
    for (const ended of this.#ends.values()) ended.abort();
  }
}
