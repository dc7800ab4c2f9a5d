/** The work loop: picks a tag, pulls what its slots can use, hands it on, and rests when there is nothing. */
import type { ActiveTag } from "./active.ts";
import { AHEAD_MS } from "./active.ts";
import { Fairness } from "./fairness.ts";
import type { Log } from "./log.ts";
import type { Delivery, Puller } from "./pull.ts";
import type { QueueInfo } from "./queue.ts";
import { Rests } from "./rests.ts";
import { type Load, type Need, Room } from "./room.ts";
import { Turns } from "./turns.ts";

/**
 * Rest of a tag whose calls are all in workers' hands: one of those workers may hand some back, or vanish. A quarter of
 * the time since a message came, within these bounds.
 */
const WATCH_LEAST_MS = 250;
const WATCH_MS = 2_000;
/** Rest of a tag that has calls which the server does not give out now (its concurrency limit). */
const BLOCKED_MS = 250;
const PAUSED_MS = 5_000;
const BROKER_TROUBLE_MS = 1_000;
/** Bytes of calls that one user may have in hand here, for each slot: two messages of the usual largest size. */
const BYTES_PER_SLOT = 16 * 2 ** 20;
/** Tags of one user that are worked on here at once: all of them are looked at to choose what to pull next. */
const MOST_ACTIVE = 1_000;
/** Averages are rough: what is to end within a time should take half of it at most. */
const SURELY = 2;

/** What the worker has in hand. */
interface Hand {
  loads: Load[];
  /** Enough of it that no more is taken ahead. */
  full: boolean;
}

/** To be pulled next. */
interface Step {
  tag: ActiveTag;
  most: number;
}

export class Feeder {
  readonly #puller: Puller;
  readonly #slots: number;
  readonly #room: Room;
  readonly #turns = new Turns();
  readonly #log: Log;
  readonly #served: (tag: ActiveTag) => boolean;
  readonly #most: (tag: ActiveTag) => number;
  readonly #take: (tag: ActiveTag, delivery: Delivery) => void;
  readonly #finished: (tag: ActiveTag, hasRoomAgain: boolean) => void;
  readonly #fairness = new Fairness();
  readonly #tags = new Map<string, ActiveTag>();
  /** How many of them are of which user. */
  readonly #active = new Map<string, number>();
  readonly #turnedAway = new Set<string>();
  /** Users whose answer to a pull is awaited: nobody waits for another user's queue, which may never answer. */
  readonly #pulling = new Set<string>();
  /** By user, the size of their messages that are held, run or are being stored. */
  readonly #bytes = new Map<string, number>();
  /** Tags whose queues were seen to hold something, and until when that is good enough to keep room for them. */
  readonly #queued = new Map<ActiveTag, number>();
  readonly #looking = new Set<ActiveTag>();
  readonly #rests = new Rests();
  /** A tag waits for room, */
  #crowded = false;
  /** and what is done about it changes then. */
  #turnChangesMs = Number.POSITIVE_INFINITY;
  #stopped = false;
  #wake: () => void = () => undefined;

  /**
   * @param capacity what this worker has for calls
   * @param served whether a tag's submitter may be served now; else it is held
   * @param most how many messages of a tag may be taken at most
   * @param take gets each pulled message
   * @param finished hears of a tag that has nothing left to run, and whether there is room again for tags of its user,
   *   where there was none (see {@link hasRoomFor})
   */
  constructor(
    puller: Puller,
    capacity: Need,
    log: Log,
    served: (tag: ActiveTag) => boolean,
    most: (tag: ActiveTag) => number,
    take: (tag: ActiveTag, delivery: Delivery) => void,
    finished: (tag: ActiveTag, hasRoomAgain: boolean) => void,
  ) {
    this.#puller = puller;
    this.#slots = capacity.cpus;
    this.#room = new Room(capacity);
    this.#log = log;
    this.#served = served;
    this.#most = most;
    this.#take = take;
    this.#finished = finished;
  }

  get tags(): readonly ActiveTag[] {
    return [...this.#tags.values()];
  }

  add(tag: ActiveTag): void {
    // Two looks at the same tag may end at the same time.
    if (this.has(tag.runnable.id)) return;
    const { id, u } = tag.runnable;
    // One that has ended may be there still.
    if (!this.#tags.has(id)) this.#active.set(u, (this.#active.get(u) ?? 0) + 1);
    this.#tags.set(id, tag);
    this.#fairness.join(tag);
    this.#wake();
  }

  /** Whether another tag of a user is to be worked on now; where not, that there is room again is told. */
  hasRoomFor(u: string): boolean {
    if ((this.#active.get(u) ?? 0) < MOST_ACTIVE) return true;
    this.#turnedAway.add(u);
    return false;
  }

  has(id: string): boolean {
    return this.#tags.get(id)?.ended === false;
  }

  /** What may run has changed. */
  lookAgain(): void {
    this.#wake();
  }

  /** Whether this worker has what a call of the tag needs, with nothing else in hand. */
  couldRun(tag: ActiveTag): boolean {
    return this.#room.couldEverHold(tag.need);
  }

  /** Something new was heard of a tag: where it is known here its rest ends. */
  rouse(id: string): void {
    const tag = this.#tags.get(id);
    if (tag !== undefined) tag.restUntilMs = 0;
    this.#wake();
  }

  #remove(tag: ActiveTag): void {
    const { id, u } = tag.runnable;
    this.#queued.delete(tag);
    this.#rests.end(tag);
    let left = this.#active.get(u) ?? 0;
    if (this.#tags.get(id) === tag) {
      this.#tags.delete(id);
      left--;
    }
    this.#fairness.leave(tag);
    if (left > 0) this.#active.set(u, left);
    else this.#active.delete(u);
    this.#finished(tag, left <= MOST_ACTIVE / 2 && this.#turnedAway.delete(u));
  }

  /** A message has run; its place can be taken, and its outcomes are to be stored. */
  ran(tag: ActiveTag, tookMs: number): void {
    tag.held--;
    tag.storing++;
    tag.ran(tookMs);
    this.#fairness.served(tag, tookMs * tag.weight);
    if (this.#crowded || tag.want(this.#slots) > 0) this.#wake();
  }

  /** A message of so many bytes that has run has left this worker. */
  ended(tag: ActiveTag, bytes: number): void {
    const wasFull = this.#isFull(tag);
    tag.storing--;
    this.#count(tag, -bytes);
    // One of the calls that may run at once is free again.
    if (tag.limited) tag.restUntilMs = 0;
    if (wasFull || tag.expired || tag.ended || tag.want(this.#slots) > 0) this.#wake();
  }

  /** Whether the calls of the tag's submitter take as much memory here as they may. */
  #isFull({ runnable: { u } }: ActiveTag): boolean {
    return (this.#bytes.get(u) ?? 0) >= BYTES_PER_SLOT * this.#slots;
  }

  #count({ runnable: { u } }: ActiveTag, bytes: number): void {
    const now = (this.#bytes.get(u) ?? 0) + bytes;
    if (now > 0) this.#bytes.set(u, now);
    else this.#bytes.delete(u);
  }

  #hand(nowMs: number): Hand {
    let held = 0;
    let heldMs = 0;
    const loads: Load[] = [];
    for (const tag of this.#tags.values()) {
      held += tag.held;
      heldMs += tag.heldMs;
      const load = tag.load(nowMs);
      if (load.messages > 0) loads.push(load);
    }
    return { loads, full: held >= this.#slots && heldMs >= this.#slots * AHEAD_MS };
  }

  /** How many messages of a tag may be taken now, held ahead included. */
  #roomFor(tag: ActiveTag, { loads, full }: Hand): number {
    return full ? 0 : this.#room.further(loads, tag.need, this.#share(tag));
  }

  #share(tag: ActiveTag): number {
    const share = Math.max(1, Math.ceil(tag.want(this.#slots) / this.#fairness.users));
    return Math.min(share, this.#most(tag));
  }

  /** Of a tag whose time is over nothing is taken any more; it leaves when nothing of it is in hand. */
  #dropExpired(): void {
    for (const tag of this.tags) {
      if ((tag.expired || tag.ended) && tag.held === 0 && tag.storing === 0) this.#remove(tag);
    }
  }

  /** Chooses by fairness first, and only then looks for room: else whoever needs much never gets it beside a flood. */
  #next(now: number): Step | undefined {
    this.#dropExpired();
    this.#crowded = false;
    this.#turnChangesMs = Number.POSITIVE_INFINITY;
    const ready = this.tags.filter(
      (tag) =>
        !this.#pulling.has(tag.runnable.u) &&
        tag.restUntilMs <= now &&
        tag.want(this.#slots) > 0 &&
        !this.#isFull(tag) &&
        this.#served(tag),
    );
    const first = this.#fairness.first(ready, this.tags);
    if (first === undefined) return undefined;
    const hand = this.#hand(now);
    const most = this.#roomFor(first, hand);
    if (most > 0) return { tag: first, most };
    this.#crowded = true;
    const others = hand.full ? [] : ready.filter((tag) => tag !== first && this.#roomFor(tag, hand) > 0);
    return others.length === 0 ? undefined : this.#beside(first, others, now, hand);
  }

  /** What to take of others while there is no room for the tag whose turn it is. */
  #beside(first: ActiveTag, others: readonly ActiveTag[], now: number, hand: Hand): Step | undefined {
    const queuedUntilMs = this.#queued.get(first);
    if ((queuedUntilMs ?? 0) <= now) void this.#lookForRoom(first);
    const keeps = queuedUntilMs !== undefined && this.#turns.keeps(first, now);
    this.#turnChangesMs = this.#turns.changesAtMs(first, now);
    if (!keeps) {
      const tag = this.#fairness.first(others, this.tags);
      return tag && { tag, most: this.#roomFor(tag, hand) };
    }
    const { loads } = hand;
    const waitMs = this.#room.waitMs(loads, first.need);
    const short = others.filter(
      ({ averageMs, need }) =>
        averageMs !== undefined && averageMs * SURELY <= waitMs && this.#room.free(loads, need) > 0,
    );
    const tag = this.#fairness.first(short, this.tags);
    return tag && { tag, most: Math.min(this.#share(tag), this.#room.free(loads, tag.need)) };
  }

  /** Waits until something is heard, or the first rest ends that had not ended at `now`. */
  async #rest(now: number): Promise<void> {
    let waitMs = Math.min(this.#turnChangesMs - now, 60_000);
    for (const { restUntilMs, leftMs } of this.#tags.values()) {
      if (restUntilMs > now) waitMs = Math.min(waitMs, restUntilMs - now);
      if (leftMs + 1 > 0) waitMs = Math.min(waitMs, leftMs + 1);
    }
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
    const queue = await this.#info(tag);
    if (queue === undefined || (queue.pending === 0 && queue.running === 0)) {
      if (tag.held === 0 && tag.storing === 0) this.#remove(tag);
      else this.#rests.begin(tag, watchMs(tag));
      return;
    }
    tag.concurrency = queue.concurrency;
    this.#rests.begin(tag, queue.paused ? PAUSED_MS : queue.pending > 0 ? BLOCKED_MS : watchMs(tag));
    // Others are at it as well.
    if (queue.running > tag.held + tag.storing) this.#fairness.isAlone = false;
  }

  #info(tag: ActiveTag): Promise<QueueInfo | undefined> {
    return this.#puller.info(tag.runnable.u, tag.runnable.tag);
  }

  /** Room is kept only for a tag that has something to run; one that has nothing rests. */
  async #lookForRoom(tag: ActiveTag): Promise<void> {
    if (this.#looking.has(tag)) return;
    this.#looking.add(tag);
    try {
      const queue = await this.#info(tag);
      const blocked = queue !== undefined && queue.concurrency > 0 && queue.running >= queue.concurrency;
      if (queue !== undefined && queue.pending > 0 && !queue.paused && !blocked) {
        this.#queued.set(tag, performance.now() + WATCH_MS);
      } else {
        this.#endTurn(tag);
        tag.restUntilMs = performance.now() + (blocked ? BLOCKED_MS : WATCH_MS);
      }
    } catch (error) {
      this.#endTurn(tag);
      this.#trouble(tag, error as Error);
    } finally {
      this.#looking.delete(tag);
      this.#wake();
    }
  }

  /** Whoever had room kept for nothing has had it all the same. */
  #endTurn(tag: ActiveTag): void {
    this.#queued.delete(tag);
    this.#fairness.served(tag, this.#turns.end(tag, performance.now()) * tag.weight);
  }

  #trouble(tag: ActiveTag, error: Error): void {
    if (this.#stopped) return;
    this.#log.warn(`${tag.runnable.tag}: ${error.message}`);
    tag.restUntilMs = performance.now() + BROKER_TROUBLE_MS;
  }

  async #feed({ tag, most }: Step): Promise<void> {
    const { u, tag: name } = tag.runnable;
    const now = performance.now();
    tag.expect(most, now);
    const deliveries = await this.#puller.pull(u, name, most, tag.limited).finally(() => tag.expect(0, now));
    for (const delivery of deliveries) {
      // It may have lain here while this process did not run, and be another worker's by now.
      if (!delivery.held) {
        delivery.abandon();
        continue;
      }
      tag.held++;
      this.#count(tag, delivery.data.length);
      this.#take(tag, delivery);
    }
    if (deliveries.length > 0) {
      tag.cameMs = now;
      this.#rests.end(tag);
      this.#turns.end(tag, now);
    } else {
      this.#endTurn(tag);
      await this.#look(tag);
    }
  }

  async #pull(step: Step): Promise<void> {
    const { u } = step.tag.runnable;
    this.#pulling.add(u);
    try {
      await this.#feed(step);
    } catch (error) {
      this.#trouble(step.tag, error as Error);
    } finally {
      this.#pulling.delete(u);
      this.#wake();
    }
  }

  /** Works until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      // One look at the clock for both: a rest that ended between two would be nobody's.
      const now = performance.now();
      const step = this.#next(now);
      if (step === undefined) await this.#rest(now);
      else void this.#pull(step);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }
}

function watchMs({ cameMs }: ActiveTag): number {
  return Math.min(WATCH_MS, Math.max(WATCH_LEAST_MS, (performance.now() - cameMs) / 4));
}
