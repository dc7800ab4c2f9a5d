/** A tag that this worker is pulling from, and how much of it to hold. */
import type { Load, Need } from "./room.ts";
import type { RunnableTag } from "./tag.ts";

/** Work that a worker holds ahead, per slot: short calls are fast, long ones are never hoarded. */
export const AHEAD_MS = 500;
/** Calls that a worker holds of one tag at most: each costs it a kilobyte or so until its outcome is stored. */
const HOLD_MOST = 2000;
/** What a pull may bring counts as held for so long: it may never be answered. */
const COMING_MS = 1_000;
/** Weight of the newest message in the running average of how long one takes. */
const NEWEST_WEIGHT = 0.2;

export class ActiveTag {
  readonly runnable: RunnableTag;
  /** Messages that run at once at most, by the memory that they ask for. */
  readonly #mostByMemory: number;
  /** Messages in this worker's hands that run or will. */
  held = 0;
  /** Messages that have run here and wait for their outcomes to be stored. */
  storing = 0;
  /** Messages among them whose worker vanished before. */
  suspects = 0;
  /** How long a message occupies a slot, in milliseconds; undefined before the first has ended. */
  averageMs: number | undefined;
  /** When messages of it came last, on the clock of `performance.now()`; before that, when it was found. */
  cameMs = performance.now();
  /** No pull before this, on the clock of `performance.now()`. */
  restUntilMs = 0;
  /** Messages that may be in workers' hands at once, over all workers; 0 for no limit. Its submitter may change it. */
  concurrency: number;
  /** Its place among tags served alike where several workers are at it: another at each worker. */
  readonly lot = Math.random();
  /** Its submitter was revoked: nothing of it goes on here. */
  ended = false;
  #coming = 0;
  #comingUntilMs = 0;

  /** @param workerBytes memory that running calls may ask for together */
  constructor(runnable: RunnableTag, workerBytes: number) {
    this.runnable = runnable;
    this.concurrency = runnable.concurrency;
    const { memoryBytes } = runnable.options;
    this.#mostByMemory = memoryBytes === 0 ? Number.POSITIVE_INFINITY : Math.floor(workerBytes / memoryBytes);
  }

  /** What one message occupies while it runs. */
  get need(): Need {
    const { cpus, memoryBytes } = this.runnable.options;
    return { cpus, memoryBytes };
  }

  /** Slots that one message occupies. */
  get weight(): number {
    return this.need.cpus;
  }

  /** A pull is under way that may bring so many messages. */
  expect(messages: number, nowMs: number): void {
    this.#coming = messages;
    this.#comingUntilMs = nowMs + COMING_MS;
  }

  /** What it holds and may get at any moment. */
  load(nowMs: number): Load {
    const coming = nowMs < this.#comingUntilMs ? this.#coming : 0;
    return { need: this.need, messages: this.held + coming, averageMs: this.averageMs };
  }

  /** Milliseconds until no call of it may be started any more; negative from then on. */
  get leftMs(): number {
    return this.runnable.manifest.notAfterMs - Date.now();
  }

  get expired(): boolean {
    return this.leftMs < 0;
  }

  /** Whether the submitter limits how many of its calls run at once, over all workers. */
  get limited(): boolean {
    return this.concurrency > 0;
  }

  /** How many messages to hold on `slots` slots. */
  target(slots: number): number {
    const { cpus, chunkSize } = this.runnable.options;
    const running = Math.min(Math.floor(slots / cpus), this.#mostByMemory);
    // What is held ahead counts against the tag's limit, so a limited tag is not held ahead at all.
    // Nor is what may end this worker: whatever is held beside it would be lost with it.
    if (this.limited || this.suspects > 0 || cpus > 1 || this.averageMs === undefined) return running;
    const ahead = Math.ceil((running * AHEAD_MS) / Math.max(this.averageMs, 0.01));
    const most = Math.ceil(HOLD_MOST / chunkSize);
    return Math.max(running, Math.min(most, ahead));
  }

  /** How many messages to ask for now; 0 while it holds at least half of what it may, and enough for all slots. */
  want(slots: number): number {
    const target = this.target(slots);
    // What cannot be stored must not pile up.
    if (this.storing >= target) return 0;
    const enough = this.held * 2 > target && this.held >= Math.floor(slots / this.weight);
    return enough || this.held >= target ? 0 : target - this.held;
  }

  /** Milliseconds of slot time that it holds. */
  get heldMs(): number {
    return this.held * this.weight * (this.averageMs ?? AHEAD_MS);
  }

  ran(tookMs: number): void {
    this.averageMs =
      this.averageMs === undefined ? tookMs : this.averageMs * (1 - NEWEST_WEIGHT) + tookMs * NEWEST_WEIGHT;
  }
}
