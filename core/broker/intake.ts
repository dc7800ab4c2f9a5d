/**
 * Reading what a pull consumer gives out (ADR-37). nats.js's `consume()` bounds what is on its way by messages or by bytes,
 * and by 100 messages where it is by bytes: a request to the server for every 25 small ones. This bounds it by both.
 */
import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from "@nats-io/transport-node";
import { JETSTREAM_API, parseDelivery } from "./names.ts";

/** What one request asks for at most; two of them are under way. */
const REQUEST_MESSAGES = 2000;
const REQUEST_BYTES = 8 * 2 ** 20;
/** The server forgets a request after this, and says so. */
const EXPIRES_MS = 30_000;

const TIMED_OUT = 408;
const CONFLICT = 409;
/** Of conflicts, those that only say that a request has come to its end. */
const REQUEST_OVER = /^(Message Size Exceeds MaxBytes|Batch Completed)$/i;

export interface Taken {
  subject: string;
  data: Uint8Array;
  /** In the stream. */
  seq: number;
  /** Its number among those that the consumer has given out, from 1. */
  delivery: number;
  /** Messages that the consumer has yet to give out. */
  pending: number;
}

/** How many messages a request that has come to its end did not get; undefined where the message does not say that. */
function leftOf({ headers }: Msg): number | undefined {
  const isOver = headers?.code === TIMED_OUT || (headers?.code === CONFLICT && REQUEST_OVER.test(headers.description));
  return isOver ? Number(headers?.get("Nats-Pending-Messages")) || 0 : undefined;
}

export class Intake {
  readonly #nc: NatsConnection;
  readonly #request: string;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
  #arrived: Msg[] = [];
  #next = 0;
  /** Messages that were asked for and have not been taken. */
  #asked = 0;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(nc: NatsConnection, stream: string, consumer: string) {
    this.#nc = nc;
    this.#request = `${JETSTREAM_API}.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#subscription = nc.subscribe(this.#inbox, { callback: (error, message) => this.#receive(error, message) });
    void nc.closed().then(() => this.stop());
    this.#ask();
    this.#ask();
  }

  #ask(): void {
    const request = { batch: REQUEST_MESSAGES, max_bytes: REQUEST_BYTES, expires: nanos(EXPIRES_MS) };
    this.#asked += REQUEST_MESSAGES;
    this.#nc.publish(this.#request, JSON.stringify(request), { reply: this.#inbox });
  }

  #receive(error: Error | null, message: Msg): void {
    if (this.#stopped) return;
    // What the server says of a request has the inbox itself as its subject. To look at the headers would mean to parse them.
    if (error === null && message.subject !== this.#inbox) {
      this.#arrived.push(message);
      this.#wake();
      return;
    }
    const left = error === null ? leftOf(message) : undefined;
    if (left === undefined) {
      this.stop();
      return;
    }
    this.#asked = Math.max(0, this.#asked - left);
    this.#askMore();
  }

  #askMore(): void {
    if (!this.#stopped && this.#asked <= REQUEST_MESSAGES) this.#ask();
  }

  /** Messages that have arrived and were not taken. */
  get arrived(): number {
    return this.#arrived.length - this.#next;
  }

  /** Ends it; what has arrived can still be taken. Also done where the consumer is gone, or refuses. */
  stop(): void {
    this.#stopped = true;
    this.#subscription.unsubscribe();
    this.#wake();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Resolves when something has arrived that was not taken, or it has stopped.
   * @param withinMs or then
   */
  async arrival(withinMs?: number): Promise<void> {
    if (this.arrived > 0 || this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = withinMs === undefined ? undefined : setTimeout(resolve, withinMs);
    await promise;
    clearTimeout(timer);
  }

  /** The next message that has arrived. */
  take(): Taken | undefined {
    const message = this.#arrived[this.#next];
    if (message === undefined) return undefined;
    this.#next++;
    this.#asked--;
    if (this.#next === this.#arrived.length) {
      this.#arrived = [];
      this.#next = 0;
    }
    this.#askMore();
    const { subject, data, reply = "" } = message;
    return { subject, data, ...parseDelivery(reply) };
  }
}
