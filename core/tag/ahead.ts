/** Fetching large values side by side while they are filed one by one. */
import { largeBytesOf, type OutcomeAccess } from "./outcome.ts";

/** Values that are fetched beside the one that is waited for, in bytes. One that is larger comes by itself. */
const AHEAD_BYTES = 8 * 2 ** 20;

interface Stored {
  subject: string;
  data: Uint8Array;
}

/** Opens outcomes in their order, large ones ahead of their turn. */
export class Ahead<T extends Stored, R> {
  readonly #access: OutcomeAccess;
  readonly #stored: readonly T[];
  readonly #openOne: (one: T) => Promise<R>;
  readonly #begun = new Map<number, { bytes: number; opened: Promise<R> }>();
  #bytes = 0;
  #next = 0;

  constructor(access: OutcomeAccess, stored: readonly T[], openOne: (one: T) => Promise<R>) {
    this.#access = access;
    this.#stored = stored;
    this.#openOne = openOne;
  }

  /** Opens the one at `position`, and begins with large ones behind it. Positions never go back. */
  async open(position: number): Promise<R> {
    if (!this.#begun.has(position)) {
      this.#next = Math.max(this.#next, position);
      this.#begin(position);
    }
    while (this.#next < this.#stored.length && this.#bytes < AHEAD_BYTES && this.#beginNext());
    const { bytes, opened } = this.#begun.get(position)!;
    try {
      return await opened;
    } finally {
      this.#begun.delete(position);
      this.#bytes -= bytes;
    }
  }

  #begin(position: number): void {
    const one = this.#stored[position]!;
    const bytes = largeBytesOf(this.#access, one.subject, one.data);
    const opened = this.#openOne(one);
    // Heard of when its turn comes.
    opened.catch(() => undefined);
    this.#begun.set(position, { bytes, opened });
    this.#bytes += bytes;
  }

  /** @returns false where the next large one would be too much */
  #beginNext(): boolean {
    const { subject, data } = this.#stored[this.#next]!;
    const bytes = largeBytesOf(this.#access, subject, data);
    if (bytes > AHEAD_BYTES - this.#bytes) return false;
    if (bytes > 0 && !this.#begun.has(this.#next)) this.#begin(this.#next);
    this.#next++;
    return true;
  }
}
