/**
 * Acknowledging messages. An acknowledgement has no answer, so one may be lost with the connection, or with a broker
 * that was killed before it had written it down: the newest are said again after a reconnect, which does no harm.
 */
import type { NatsConnection } from "@nats-io/transport-node";

/** What the broker has read for so long it has written down. */
const SETTLED_MS = 1_000;

const ACK = Buffer.from("+ACK");

interface Batch {
  replies: string[];
  /** Whether the broker has read them. */
  read: boolean;
}

export class Acks {
  readonly #nc: NatsConnection;
  readonly #timer: NodeJS.Timeout;
  #newest: string[] = [];
  #batches: Batch[] = [];

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    this.#timer = setInterval(() => this.#settle(), SETTLED_MS);
    this.#timer.unref();
  }

  /** @param reply the message's reply subject */
  ack(reply: string): void {
    this.#newest.push(reply);
    this.#say(reply);
  }

  #say(reply: string): void {
    // Where the broker shut this worker out, the message is delivered again by itself.
    if (!this.#nc.isClosed() && !this.#nc.isDraining()) this.#nc.publish(reply, ACK);
  }

  #settle(): void {
    // Those had this much time since they were read.
    this.#batches = this.#batches.filter(({ read }) => !read);
    if (this.#newest.length === 0) return;
    const batch = { replies: this.#newest, read: false };
    this.#newest = [];
    this.#batches.push(batch);
    if (this.#nc.isClosed()) return;
    // The broker answers when it has read what came before.
    this.#nc.flush().then(
      () => {
        batch.read = true;
      },
      () => undefined,
    );
  }

  /** The connection is there again. */
  again(): void {
    this.#newest = [...this.#batches.flatMap(({ replies }) => replies), ...this.#newest];
    this.#batches = [];
    for (const reply of this.#newest) this.#say(reply);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
