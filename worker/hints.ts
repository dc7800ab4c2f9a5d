/**
 * Live hints wait here for their turn. Whoever is served may send as many as they like, so each user's are worked off by
 * themselves, a few at once; what comes beyond that is left to the next look at what is stored, as any lost hint is.
 */

/** Of one user's at once, */
const AT_ONCE = 8;
/** and waiting. */
const WAITING_MOST = 1_000;
/** Together; one message may always wait. */
const WAITING_BYTES = 4 * 2 ** 20;

interface Hint {
  heard: Uint8Array;
  look: (heard: Uint8Array) => Promise<void>;
}

interface Waiting {
  /** By subject: of several about the same thing the newest is looked at. */
  hints: Map<string, Hint>;
  bytes: number;
  running: number;
}

export class Hints {
  readonly #users = new Map<string, Waiting>();

  /**
   * @param u short user whose subject it is
   * @param look what to do when it is its turn; never fails
   */
  add(u: string, subject: string, heard: Uint8Array, look: Hint["look"]): void {
    const waiting = this.#users.get(u) ?? { hints: new Map(), bytes: 0, running: 0 };
    this.#users.set(u, waiting);
    const before = waiting.hints.get(subject)?.heard.length ?? 0;
    const bytes = waiting.bytes - before + heard.length;
    const others = waiting.hints.size - (waiting.hints.has(subject) ? 1 : 0);
    if (others > 0 && (others >= WAITING_MOST || bytes > WAITING_BYTES)) return;
    waiting.hints.set(subject, { heard, look });
    waiting.bytes = bytes;
    if (waiting.running < AT_ONCE) void this.#work(u, waiting);
  }

  async #work(u: string, waiting: Waiting): Promise<void> {
    waiting.running++;
    for (let [next] = waiting.hints; next !== undefined; [next] = waiting.hints) {
      const [subject, { heard, look }] = next;
      waiting.hints.delete(subject);
      waiting.bytes -= heard.length;
      await look(heard);
    }
    waiting.running--;
    if (waiting.running === 0 && this.#users.get(u) === waiting) this.#users.delete(u);
  }
}
