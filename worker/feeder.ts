/** The work loop: picks a tag, pulls what its slots can use, hands it on, and rests when there is nothing. */
import type { ActiveTag } from "./active.ts";
import { AHEAD_MS } from "./active.ts";
import { Fairness } from "./fairness.ts";
import type { Log } from "./log.ts";
import type { Delivery, Puller } from "./pull.ts";

/** Rest of a tag whose calls are all in workers' hands: one of those workers may vanish. */
const WATCH_MS = 2_000;
/** Rest of a tag that has calls which the server does not give out now (its concurrency limit). */
const BLOCKED_MS = 250;
const PAUSED_MS = 5_000;
const BROKER_TROUBLE_MS = 1_000;

export class Feeder {
  readonly #puller: Puller;
  readonly #slots: number;
  readonly #log: Log;
  readonly #served: (tag: ActiveTag) => boolean;
  readonly #room: (tag: ActiveTag) => number;
  readonly #gaps: () => number;
  readonly #take: (tag: ActiveTag, delivery: Delivery) => void;
  readonly #finished: (tag: ActiveTag) => void;
  readonly #fairness = new Fairness();
  readonly #tags = new Map<string, ActiveTag>();
  /** Users whose answer to a pull is awaited: nobody waits for another user's queue, which may never answer. */
  readonly #pulling = new Set<string>();
  #stopped = false;
  #wake: () => void = () => undefined;

  /**
   * @param served whether a tag's submitter may be served now; else it is held
   * @param room how many messages of a tag may be taken at most
   * @param gaps counts the times that this process did not run for long
   * @param take gets each pulled message
   * @param finished hears of a tag that has nothing left to run
   */
  constructor(
    puller: Puller,
    slots: number,
    log: Log,
    served: (tag: ActiveTag) => boolean,
    room: (tag: ActiveTag) => number,
    gaps: () => number,
    take: (tag: ActiveTag, delivery: Delivery) => void,
    finished: (tag: ActiveTag) => void,
  ) {
    this.#puller = puller;
    this.#slots = slots;
    this.#log = log;
    this.#served = served;
    this.#room = room;
    this.#gaps = gaps;
    this.#take = take;
    this.#finished = finished;
  }

  get tags(): readonly ActiveTag[] {
    return [...this.#tags.values()];
  }

  add(tag: ActiveTag): void {
    // Two looks at the same tag may end at the same time.
    if (this.#tags.has(tag.runnable.id)) return;
    this.#tags.set(tag.runnable.id, tag);
    this.#fairness.join(tag.runnable.u);
    this.#wake();
  }

  has(id: string): boolean {
    return this.#tags.has(id);
  }

  /** Something new was heard of a tag: where it is known here its rest ends. */
  rouse(id: string): void {
    const tag = this.#tags.get(id);
    if (tag !== undefined) tag.restUntilMs = 0;
    this.#wake();
  }

  #remove(tag: ActiveTag): void {
    const { id, u } = tag.runnable;
    this.#tags.delete(id);
    if (!this.tags.some((other) => other.runnable.u === u)) this.#fairness.leave(u);
    this.#finished(tag);
  }

  /** A message has run; its place can be taken, and its outcomes are to be stored. */
  ran(tag: ActiveTag, tookMs: number): void {
    tag.held--;
    tag.storing++;
    tag.ran(tookMs);
    this.#fairness.served(tag.runnable.u, tookMs * tag.weight);
    if (tag.want(this.#slots) > 0) this.#wake();
  }

  /** A message that has run has left this worker. */
  ended(tag: ActiveTag): void {
    tag.storing--;
    // One of the calls that may run at once is free again.
    if (tag.limited) tag.restUntilMs = 0;
    if (tag.want(this.#slots) > 0) this.#wake();
  }

  /** Whether a message of this weight may be held as well. */
  #hasRoom(weight: number): boolean {
    const tags = this.tags;
    const heavy = weight > 1 || tags.some((tag) => tag.held > 0 && tag.weight > 1);
    if (heavy) return tags.reduce((sum, tag) => sum + tag.held * tag.weight, 0) + weight <= this.#slots;
    return (
      tags.reduce((sum, tag) => sum + tag.held, 0) < this.#slots ||
      tags.reduce((sum, tag) => sum + tag.heldMs, 0) < this.#slots * AHEAD_MS
    );
  }

  #next(): ActiveTag | undefined {
    const now = performance.now();
    const ready = this.tags.filter(
      (tag) =>
        !this.#pulling.has(tag.runnable.u) &&
        tag.restUntilMs <= now &&
        tag.want(this.#slots) > 0 &&
        this.#hasRoom(tag.weight) &&
        this.#served(tag),
    );
    return this.#fairness.first(ready, this.tags);
  }

  /** Waits until something is heard, or the first rest ends. */
  async #rest(): Promise<void> {
    const now = performance.now();
    const rests = this.tags.map((tag) => tag.restUntilMs - now).filter((restMs) => restMs > 0);
    const waitMs = Math.min(...rests, 60_000);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  /** Nothing came: is the tag finished, or is there something to wait for? */
  async #look(tag: ActiveTag): Promise<void> {
    const { u, tag: name } = tag.runnable;
    const queue = await this.#puller.info(u, name);
    if (queue === undefined || (queue.pending === 0 && queue.running === 0)) {
      if (tag.held === 0 && tag.storing === 0) this.#remove(tag);
      else tag.restUntilMs = performance.now() + WATCH_MS;
      return;
    }
    tag.concurrency = queue.concurrency;
    const restMs = queue.paused ? PAUSED_MS : queue.pending > 0 ? BLOCKED_MS : WATCH_MS;
    tag.restUntilMs = performance.now() + restMs;
  }

  async #feed(tag: ActiveTag): Promise<void> {
    const { u, tag: name } = tag.runnable;
    const share = Math.max(1, Math.ceil(tag.want(this.#slots) / this.#fairness.users));
    const gaps = this.#gaps();
    const deliveries = await this.#puller.pull(u, name, Math.min(share, this.#room(tag)), tag.limited);
    // They may have lain here while this process did not run, and be other workers' by now.
    if (this.#gaps() !== gaps) return;
    for (const delivery of deliveries) {
      tag.held++;
      this.#take(tag, delivery);
    }
    if (deliveries.length === 0) await this.#look(tag);
  }

  async #pull(tag: ActiveTag): Promise<void> {
    const { u } = tag.runnable;
    this.#pulling.add(u);
    try {
      await this.#feed(tag);
    } catch (error) {
      if (this.#stopped) return;
      this.#log.warn(`${tag.runnable.tag}: ${(error as Error).message}`);
      tag.restUntilMs = performance.now() + BROKER_TROUBLE_MS;
    } finally {
      this.#pulling.delete(u);
      this.#wake();
    }
  }

  /** Works until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const tag = this.#next();
      if (tag === undefined) await this.#rest();
      else void this.#pull(tag);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }
}
