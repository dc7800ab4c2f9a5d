import type { Store } from "./store.ts";

const HASH_BYTES = 32;
/** Hashes gathered before they are written: submits put them message by message. */
const GATHERED = 4096;

/** The hashes of the calls' messages, written many at a time. */
export class Hashes {
  private readonly held: { store: Store };
  private gathered: { index: number; hash: Uint8Array }[] = [];

  constructor(held: { store: Store }) {
    this.held = held;
  }

  put(first: number, hashes: readonly Uint8Array[]): void {
    for (let i = 0; i < hashes.length; i++) {
      const hash = hashes[i] as Uint8Array;
      if (hash.length !== HASH_BYTES) {
        throw new RangeError(`the hash of call ${first + i} has ${hash.length} bytes, not ${HASH_BYTES}`);
      }
      this.gathered.push({ index: first + i, hash });
    }
    if (this.gathered.length >= GATHERED) this.flush();
  }

  get(index: number): Uint8Array | undefined {
    this.flush();
    const { store } = this.held;
    const statement = store.prepare("SELECT hash FROM hashes WHERE idx = ?");
    return store.run(() => statement.get(index))?.hash as Uint8Array | undefined;
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.gathered.length === 0) return;
    const { store } = this.held;
    const insert = store.prepare("INSERT OR REPLACE INTO hashes VALUES (?, ?)");
    store.transaction(() => {
      for (const { index, hash } of this.gathered) insert.run(index, hash);
    });
    this.gathered = [];
  }

  /** Writes what was gathered, unless nobody can read it any more. */
  close(): void {
    if (this.held.store.temporary) this.gathered = [];
    else this.flush();
  }
}
