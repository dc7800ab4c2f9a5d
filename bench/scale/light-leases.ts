import { ACK_WAIT_MS } from "../../core/broker/queue.ts";
import type { Session } from "../../core/instance/session.ts";
import type { OpenLeases } from "../../worker/parts.ts";

/** Renews leases without a thread a worker: a thousand threads are more than the machine of a bench has room for. */
export class LightLeases implements OpenLeases {
  readonly #held = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor({ nc }: Session) {
    this.#timer = setInterval(() => {
      if (!nc.isClosed()) for (const reply of this.#held) nc.publish(reply, "+WPI");
    }, ACK_WAIT_MS / 3);
  }

  hold(reply: string): void {
    this.#held.add(reply);
  }

  drop(reply: string): void {
    this.#held.delete(reply);
  }

  holds(reply: string): boolean {
    return this.#held.has(reply);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
  }
}
