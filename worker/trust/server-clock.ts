/** What time it is: the later of this machine's clock and the broker's, so that setting one back revives nothing. */
import type { NatsConnection } from "@nats-io/transport-node";
import { askServerTime, clocksApart } from "../../core/broker/clock.ts";

export class ServerClock {
  readonly #nc: NatsConnection;
  /** What the broker said, and when by `performance.now()`. */
  #said: { serverMs: number; atMs: number } | undefined;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Asks the broker again. Where it does not answer, what it said before holds. */
  async refresh(): Promise<void> {
    const serverMs = await askServerTime(this.#nc);
    if (serverMs !== undefined) this.#said = { serverMs, atMs: performance.now() };
  }

  get #serverMs(): number | undefined {
    return this.#said && this.#said.serverMs + (performance.now() - this.#said.atMs);
  }

  /** Milliseconds since 1970. */
  nowMs(): number {
    return Math.max(Date.now(), this.#serverMs ?? 0);
  }

  /** That the two clocks are too far apart to rely on either, as a sentence without its period. */
  get apart(): string | undefined {
    const serverMs = this.#serverMs;
    return serverMs === undefined ? undefined : clocksApart(Date.now(), serverMs);
  }
}
