/** Which closing records of a user this worker has dealt with, so that only what is new is read and looked at. */
export class Catalogue {
  /** By tag, the place of its record in the stream: one that is stored anew (after a retry, say) has another. */
  readonly #places = new Map<string, number>();
  /** The same of tags that could not be looked at, to be tried again. */
  readonly #again = new Map<string, number>();
  #nextSeq = 1;

  /** Tags that it knows of. */
  get size(): number {
    return this.#places.size + this.#again.size;
  }

  /** All records before this were read. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Everything that is stored was read, and it is this: forgets what was deleted or has expired. */
  keepOnly(stored: ReadonlyMap<string, number>): void {
    for (const places of [this.#places, this.#again]) {
      for (const tag of places.keys()) if (!stored.has(tag)) places.delete(tag);
    }
    this.#nextSeq = 1;
  }

  /** @returns of all records from {@link nextSeq} on, and of those before, what is to be looked at, the oldest first */
  open(stored: ReadonlyMap<string, number>): [tag: string, seq: number][] {
    const open = new Map(this.#again);
    for (const [tag, seq] of stored) {
      this.#nextSeq = Math.max(this.#nextSeq, seq + 1);
      if (this.#places.get(tag) !== seq) open.set(tag, seq);
    }
    return [...open].sort(([, a], [, b]) => a - b);
  }

  /** A tag was looked at. @param settled false where that has to be done again */
  note(tag: string, seq: number, settled: boolean): void {
    this.#places.delete(tag);
    this.#again.delete(tag);
    (settled ? this.#places : this.#again).set(tag, seq);
  }
}
