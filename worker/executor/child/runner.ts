/**
 * Runs jobs one after the other.
 *
 * Rules that callers rely on:
 * - A call ends when its function returns or its promise settles, and the event loop has turned once. What it
 *   leaves behind (timers, sockets, promises) goes on and can neither change its outcome nor any later call's.
 * - An error that nothing caught is the outcome of the call that caused it, if that call still runs. Then, and
 *   also where the call has ended, the executor starts no further call: what is left behind ends with it.
 * - Between two jobs the event loop turns, so a job that was withdrawn before the last one ended never starts.
 */
import { isPermanent } from "../../../core/attempts.ts";
import { RefusedError } from "../../../core/errors.ts";
import { encodeResultPieces } from "../../../core/values/index.ts";
import { decodeArguments, openArguments } from "./arguments.ts";
import { ActiveCall, type Settled } from "./call.ts";
import { encodeThrown } from "./errors.ts";
import { eventLoopTurn } from "./event-loop-turn.ts";
import { freshFolders, LeftoverFilesError } from "./folders.ts";
import { fatal, send } from "./link.ts";
import { OutcomeSender } from "./outcomes.ts";
import { notePosition } from "./position.ts";
import { Queue, type QueuedJob } from "./queue.ts";
import { type KnownTag, LoadFailure, tagOf } from "./tags.ts";

export class Runner {
  readonly queue = new Queue();
  readonly #folders: readonly string[];
  readonly #outcomes: OutcomeSender;
  #busy = false;
  #retireReason: string | undefined;
  #active: ActiveCall | undefined;

  constructor(options: { inlineLimitBytes: number; folders: readonly string[]; worker: string }) {
    this.#folders = options.folders;
    this.#outcomes = new OutcomeSender(options.inlineLimitBytes, options.worker);
  }

  /** The call that runs. */
  get active(): ActiveCall | undefined {
    return this.#active;
  }

  /** The worker saw that a job's running call holds so much, with all that it started. */
  seen(job: number, bytes: number): void {
    if (this.#active?.job === job) this.#active.memory.seen(bytes);
  }

  /** The process is about to exit: what is done is told. */
  flush(): void {
    this.#outcomes.flush();
  }

  /** Starts the next job if one is here and none runs. */
  pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#drain().catch(fatal);
  }

  /** An error that nothing caught; `call` is whose it is, where that is known. */
  stray(error: unknown, call: ActiveCall | undefined): void {
    const owner = call ?? this.#active;
    if (owner !== undefined && owner === this.#active) owner.fail(error);
    else console.error("uncaught, left behind by a call that has ended:", error);
    this.#retire("user code threw an error that nothing caught");
  }

  async #drain(): Promise<void> {
    for (;;) {
      if (this.#retireReason !== undefined) {
        this.queue.clear();
        this.#outcomes.flush();
        send("retired", { reason: this.#retireReason });
        // Stays busy for good: nothing starts any more.
        return;
      }
      const job = this.queue.take();
      if (job === undefined) break;
      await this.#runJob(job);
      await eventLoopTurn();
    }
    this.#busy = false;
  }

  #retire(reason: string): void {
    this.#retireReason ??= reason;
    this.pump();
  }

  async #runJob(job: QueuedJob): Promise<void> {
    const tag = tagOf(job.tagId);
    if (tag === undefined) {
      this.#refuse(job, `the executor was not told of tag ${job.tagId}`);
      return;
    }
    let plaintext: Uint8Array;
    try {
      plaintext = openArguments(job, tag);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#refuse(job, error.message.toWellFormed());
      return;
    }
    await this.#runCalls(job, tag, plaintext);
    if (this.queue.isEmpty) this.#outcomes.flush();
  }

  #refuse(job: QueuedJob, reason: string): void {
    this.#outcomes.flush();
    send("refused", { job: job.id, reason });
  }

  async #runCalls(job: QueuedJob, tag: KnownTag, plaintext: Uint8Array): Promise<void> {
    this.#begin(job, job.from);
    const task = tag.loaded ?? (await tag.loading);
    if (task instanceof LoadFailure) return this.#failAll(job, tag, task.error);
    let lists: unknown[][];
    try {
      lists = decodeArguments(plaintext, job.count);
    } catch (error) {
      return this.#failAll(job, tag, error);
    }
    this.#outcomes.begin(job, tag);
    for (let index = job.from; index < job.to && this.#retireReason === undefined; index++) {
      const args = lists[index - job.first]!;
      this.#begin(job, index);
      // While its results go together, which of its calls it was is found out when it runs again.
      const isNoted = this.#outcomes.packing ? index === job.from : this.#outcomes.holding;
      if (isNoted) notePosition(job.id, index);
      this.#active = new ActiveCall(job.id, index);
      const settled = await this.#active.run(task, args);
      this.#cleanUp();
      this.#active = undefined;
      const { failed, value } = encodeSettled(settled, (error) => encodeThrown(error, task));
      const ending = { failed, permanent: settled.failed && isPermanent(settled.value) };
      this.#outcomes.add(job, tag, index, ending, settled.meta, value);
    }
  }

  /** What came before is told first, so that whatever befalls this call befalls no other. */
  #begin(job: QueuedJob, index: number): void {
    if (job.limited === 0) return;
    this.#outcomes.flush();
    send("begun", { job: job.id, index });
  }

  #failAll(job: QueuedJob, tag: KnownTag, error: unknown): void {
    const value = [encodeThrown(error, undefined)];
    const meta = { startedMs: Date.now(), durationMs: 0 };
    for (let index = job.from; index < job.to; index++) {
      // Code that does not load and arguments that do not decode are the same the next time.
      this.#outcomes.add(job, tag, index, { failed: true, permanent: true }, meta, value);
    }
  }

  #cleanUp(): void {
    try {
      freshFolders(this.#folders);
    } catch (error) {
      if (!(error instanceof LeftoverFilesError)) throw error;
      this.#retire(error.message);
    }
  }
}

/** A result that cannot travel is an error of its call. */
function encodeSettled(
  settled: Settled,
  encodeThrownBy: (error: unknown) => Uint8Array,
): { failed: boolean; value: Uint8Array[] } {
  if (settled.failed) return { failed: true, value: [encodeThrownBy(settled.value)] };
  try {
    return { failed: false, value: encodeResultPieces(settled.value) };
  } catch (error) {
    return { failed: true, value: [encodeThrownBy(error)] };
  }
}
