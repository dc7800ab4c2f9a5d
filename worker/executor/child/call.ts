/** One call: runs it until it has settled and the event loop has turned once. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { OutcomeMeta } from "../../../core/outcome.ts";
import type { Printer } from "./console-output.ts";
import { eventLoopTurn } from "./event-loop-turn.ts";
import { CallMemory } from "./memory.ts";
import type { LoadedTask } from "./tags.ts";

/** The worker looks at calls that run longer, and says what it saw; see ../../limits/use-watch.ts. */
const WATCHED_MS = 1_000;

/** How a call ended. */
export interface Settled {
  failed: boolean;
  /** The returned value, or what was thrown. */
  value: unknown;
  meta: OutcomeMeta;
}

/** Something that a call threw outside of its own promise. */
interface Stray {
  error: unknown;
}

/** A call that runs; also who prints. */
export class ActiveCall implements Printer {
  readonly job: number;
  readonly index: number;
  readonly memory = new CallMemory();
  printed = 0;
  #stray: Stray | undefined;
  #onStray: ((stray: Stray) => void) | undefined;

  constructor(job: number, index: number) {
    this.job = job;
    this.index = index;
  }

  /** The call threw where nothing waits for it: that is how it ends, if it has not ended yet. */
  fail(error: unknown): void {
    this.#stray ??= { error };
    this.#onStray?.(this.#stray);
  }

  async run(task: LoadedTask, args: readonly unknown[]): Promise<Settled> {
    const startedMs = Date.now();
    const start = performance.now();
    let value: unknown;
    let failed = false;
    try {
      value = callContext.run(this, () => task.call(args));
      if (isThenable(value)) value = await this.#settled(value);
    } catch (error) {
      failed = true;
      value = error;
    }
    const meta: OutcomeMeta = { startedMs, durationMs: performance.now() - start };
    // One turn of the event loop: a promise that it left rejected, or a callback that threw, is heard of by now.
    await eventLoopTurn();
    // A second one, since the first may come without a look at what the worker has sent meanwhile.
    if (meta.durationMs >= WATCHED_MS) await eventLoopTurn();
    meta.peakMemoryBytes = this.memory.peakBytes(meta.durationMs);
    if (this.#stray !== undefined) return { failed: true, value: this.#stray.error, meta };
    return { failed, value, meta };
  }

  /** The promise's value, or the stray error if that comes first. */
  #settled(value: PromiseLike<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#onStray = (stray) => reject(stray.error);
      if (this.#stray !== undefined) reject(this.#stray.error);
      callContext.run(this, () => Promise.resolve(value).then(resolve, reject));
    });
  }
}

/** Tells which call a callback belongs to, also long after the call ended. */
export const callContext = new AsyncLocalStorage<ActiveCall>();

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as PromiseLike<unknown>).then === "function"
  );
}
