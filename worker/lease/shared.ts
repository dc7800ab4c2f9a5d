/** What the worker's main thread and the thread that renews leases know of each other, without a message. */
import { ACK_WAIT_MS } from "../../core/broker/queue.ts";
import { betweenMs, type Instant, now } from "./instant.ts";

/** A lease that was not renewed for so long may be over; the rest of the ack wait is the way to the broker. */
export const LAPSE_MS = ACK_WAIT_MS - 1_000;

/** Places in the shared memory, each of 64 bits. */
const Place = { aliveMs: 0, renewedMs: 1, renewedWallMs: 2, lapses: 3, count: 4 } as const;

export class SharedClock {
  readonly buffer: SharedArrayBuffer;
  readonly #places: BigInt64Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(Place.count * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#places = new BigInt64Array(buffer);
  }

  #read(place: number): number {
    return Number(Atomics.load(this.#places, place));
  }

  #write(place: number, value: number): void {
    Atomics.store(this.#places, place, BigInt(value));
  }

  /** The main thread works. */
  alive(): void {
    this.#write(Place.aliveMs, now().monotonicMs);
  }

  /** For how long the main thread has not said so. */
  get silentMs(): number {
    return now().monotonicMs - this.#read(Place.aliveMs);
  }

  get #renewed(): Instant {
    return { monotonicMs: this.#read(Place.renewedMs), wallMs: this.#read(Place.renewedWallMs) };
  }

  /** How long ago leases were renewed, as far as the broker has confirmed it. */
  get renewedBeforeMs(): number {
    return betweenMs(this.#renewed, now());
  }

  /** The broker has confirmed what was sent at that moment. A gap before it is noted before anybody sees that it is over. */
  renewed(sent: Instant): void {
    if (this.renewedBeforeMs > LAPSE_MS) this.lapsed();
    this.#write(Place.renewedWallMs, sent.wallMs);
    this.#write(Place.renewedMs, sent.monotonicMs);
  }

  /** Leases were not renewed in time. */
  lapsed(): void {
    Atomics.add(this.#places, Place.lapses, 1n);
  }

  /** How often that happened. To be read after {@link renewedBeforeMs}. */
  get lapses(): number {
    return this.#read(Place.lapses);
  }
}
