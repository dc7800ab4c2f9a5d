/** Waiting for the broker's answers: one that was asked for before the connection was cut does not come any more. */
import { BrokerError } from "../core/errors.ts";

/** The connection was made anew before an answer came. What was asked may have been done. */
export class AnswerLost extends BrokerError {
  constructor() {
    super("the connection to the broker was cut before its answer came");
  }
}

export class Cuts {
  readonly #waiting = new Set<() => void>();

  /** The connection is there again: ends all waiting at once, instead of by a timeout. */
  reconnected(): void {
    for (const end of [...this.#waiting]) end();
  }

  /** @throws AnswerLost where the connection is made anew before `answer` has come */
  answer<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const lost = () => reject(new AnswerLost());
      this.#waiting.add(lost);
      answer.then(resolve, reject).finally(() => this.#waiting.delete(lost));
    });
  }

  /** Ends early when the connection is there again. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#waiting.add(end);
    });
  }
}
