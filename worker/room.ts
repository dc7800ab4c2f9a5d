/**
 * What calls ask for, and whether there is room for them.
 *
 * A worker runs as many messages at once as it has slots, whichever of those that it holds. So messages may be held as
 * long as any `slots` of them have room beside each other: short calls are held ahead, large ones only one by one.
 */

/** What a message occupies while it runs; also what a worker has of it. */
export interface Need {
  /** Cores, which are slots. */
  cpus: number;
  /** Memory that its call asks for, in bytes; 0 where it says nothing. */
  memoryBytes: number;
}

const RESOURCES = ["cpus", "memoryBytes"] as const satisfies (keyof Need)[];

/** Messages of one tag. */
export interface Load {
  need: Need;
  messages: number;
  /** How long one runs, in milliseconds; undefined where that is not known yet. */
  averageMs: number | undefined;
}

export class Room {
  readonly #capacity: Need;

  /** @param capacity what the worker has; `cpus` is its number of slots */
  constructor(capacity: Need) {
    this.#capacity = capacity;
  }

  /** Whether a worker that holds nothing else has what a message needs. */
  couldEverHold(need: Need): boolean {
    return RESOURCES.every((resource) => need[resource] <= this.#capacity[resource]);
  }

  /** How many further messages may be held, up to `most`, so that any that run at once have what they need. */
  further(held: readonly Load[], need: Need, most: number): number {
    let fits = 0;
    for (let tooMany = most + 1; tooMany - fits > 1; ) {
      // The first guess is the whole, which is nearly always right.
      const guess = tooMany > most ? most : Math.floor((fits + tooMany) / 2);
      const all = [...held, { need, messages: guess }];
      if (RESOURCES.every((resource) => this.#peak(all, resource) <= this.#capacity[resource])) fits = guess;
      else tooMany = guess;
    }
    return fits;
  }

  /** How many further messages could run at this moment, beside all that are held. */
  free(held: readonly Load[], need: Need): number {
    const rooms = RESOURCES.filter((resource) => need[resource] > 0).map((resource) =>
      Math.floor((this.#capacity[resource] - used(held, resource)) / need[resource]),
    );
    return Math.max(0, Math.min(...rooms));
  }

  /** In about how many milliseconds a message has room, if nothing is taken before it; by the average of each tag. */
  waitMs(held: readonly Load[], need: Need): number {
    return Math.max(...RESOURCES.map((resource) => this.#waitMs(held, resource, need[resource])));
  }

  #waitMs(held: readonly Load[], resource: keyof Need, amount: number): number {
    const inUse = used(held, resource);
    const missing = inUse + amount - this.#capacity[resource];
    if (missing <= 0) return 0;
    const freedPerMs = held.reduce((sum, { need, messages, averageMs }) => {
      return averageMs === undefined ? sum : sum + (need[resource] * messages) / Math.max(averageMs, 0.01);
    }, 0);
    // Of what is held ahead only so much runs.
    return missing / (freedPerMs * Math.min(1, this.#capacity[resource] / inUse));
  }

  /** What is in use at once at most, whichever messages run. */
  #peak(held: readonly Pick<Load, "need" | "messages">[], resource: keyof Need): number {
    let slots = this.#capacity.cpus;
    let sum = 0;
    for (const { need, messages } of [...held].sort((a, b) => b.need[resource] - a.need[resource])) {
      const running = Math.min(slots, messages);
      sum += running * need[resource];
      slots -= running;
    }
    return sum;
  }
}

function used(held: readonly Load[], resource: keyof Need): number {
  return held.reduce((sum, { need, messages }) => sum + need[resource] * messages, 0);
}
