import { resultOf } from "./workload.ts";

/** How a run's results compare with what was asked for; all zero when each call gave its own right result exactly once. */
export interface Delivery {
  readonly missing: number;
  readonly twice: number;
  readonly wrong: number;
}

/** Counts the results of one run as they come, in any order. */
export class DeliveryCheck {
  readonly #seen: Uint8Array;
  readonly #payloadBytes: number;
  #twice = 0;
  #wrong = 0;
  #count = 0;

  constructor(calls: number, payloadBytes: number) {
    this.#seen = new Uint8Array(calls);
    this.#payloadBytes = payloadBytes;
  }

  /** How many calls have a result so far. */
  get count(): number {
    return this.#count;
  }

  /** Call `index` gave `value`; an index outside the run counts as wrong. */
  take(index: number, value: unknown): void {
    if (this.#seen[index] === undefined) {
      this.#wrong += 1;
      return;
    }
    if (this.#seen[index] === 1) {
      this.#twice += 1;
      return;
    }
    this.#seen[index] = 1;
    this.#count += 1;
    const [number, text] = resultOf(index, this.#payloadBytes);
    if (!Array.isArray(value) || value.length !== 2 || value[0] !== number || value[1] !== text) this.#wrong += 1;
  }

  end(): Delivery {
    return { missing: this.#seen.length - this.#count, twice: this.#twice, wrong: this.#wrong };
  }
}

/** Did each call give its own right result exactly once? */
export function isExact(delivery: Delivery): boolean {
  return delivery.missing === 0 && delivery.twice === 0 && delivery.wrong === 0;
}

/** @throws where a call has not its own right result exactly once */
export function expectExact(delivery: Delivery, what: string): void {
  if (isExact(delivery)) return;
  const { missing, twice, wrong } = delivery;
  throw new Error(`${what}: of the results ${missing} are missing, ${twice} came twice, ${wrong} are wrong`);
}
