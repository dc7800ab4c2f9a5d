/** Whether the connection to the broker is up: what is on its way when it breaks is never answered. */
import type { NatsConnection } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";

/** The connection broke while an answer was awaited. What was asked for may or may not have been done. */
export class LineDownError extends BrokerError {
  constructor() {
    super("the connection to the broker broke");
  }
}

const lines = new WeakMap<NatsConnection, Line>();

export class Line {
  readonly #nc: NatsConnection;
  /** Those who are to hear that it breaks. */
  readonly #waiting = new Set<(reason: Error) => void>();
  #up = Promise.resolve();
  #restored: () => void = () => undefined;
  #isUp = true;

  private constructor(nc: NatsConnection) {
    this.#nc = nc;
    void this.#watch();
  }

  static of(nc: NatsConnection): Line {
    let line = lines.get(nc);
    if (line === undefined) {
      line = new Line(nc);
      lines.set(nc, line);
    }
    return line;
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#nc.status()) {
      if (type === "disconnect") this.#broke();
      if (type === "reconnect") this.#isUp = true;
      if (type === "reconnect" || type === "close") this.#restored();
    }
    this.#restored();
  }

  #broke(): void {
    if (this.#isUp) {
      this.#up = new Promise((resolve) => {
        this.#restored = resolve;
      });
    }
    this.#isUp = false;
    for (const tell of this.#waiting) tell(new LineDownError());
    this.#waiting.clear();
  }

  /**
   * What `action` gives, unless the connection breaks before. It may have had its effect all the same.
   * @throws LineDownError where it breaks, or is broken
   */
  whileUp<T>(action: () => Promise<T>): Promise<T> {
    if (!this.#isUp) return Promise.reject(new LineDownError());
    // Not by Promise.race with a promise of the connection's: that would hold on to every action there ever was.
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      action()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  /** Resolves when it is up, or closed for good. */
  up(): Promise<void> {
    return this.#up;
  }
}
