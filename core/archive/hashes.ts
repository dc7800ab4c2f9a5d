import { ArchiveError } from "../errors.ts";
import type { Store } from "./store.ts";

const HASH_BYTES = 32;
/** Hashes gathered before they are written: submits put them message by message. */
const GATHERED = 4096;
/** Calls of neighbours asked for together: a stretch of them is read at once, gaps of up to so many calls included. */
const GAP = 16;
/** From so many calls on a stretch is read and written as one text of bytes; a row each costs several times as much. */
const STRETCH = 8;

const WRITE_ONE = "INSERT OR REPLACE INTO hashes VALUES (?, ?)";
/** Writes `?2` hashes that lie one behind the other in `?3`, of the calls from `?1` on. */
const WRITE_STRETCH = `
  WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2 - 1)
  INSERT OR REPLACE INTO hashes SELECT ?1 + n, substr(?3, 1 + ${HASH_BYTES} * n, ${HASH_BYTES}) FROM numbers`;
const READ_ONE = "SELECT hash FROM hashes WHERE idx = ?";
const READ_STRETCH = `
  SELECT count(*) AS calls, group_concat(hex(hash), '') AS hashes
  FROM (SELECT hash FROM hashes WHERE idx BETWEEN ? AND ? ORDER BY idx)`;

/** The hashes of the calls' messages, written and read many at a time. */
export class Hashes {
  private readonly held: { store: Store };
  /** Gathered ones, one behind the other, and of which calls they are. */
  private bytes: Buffer | undefined;
  private stretches: { first: number; calls: number }[] = [];
  private gathered = 0;

  constructor(held: { store: Store }) {
    this.held = held;
  }

  put(first: number, hashes: readonly Uint8Array[]): void {
    for (let i = 0; i < hashes.length; i++) this.putOne(first + i, hashes[i]!);
  }

  private putOne(index: number, hash: Uint8Array): void {
    if (hash.length !== HASH_BYTES) {
      throw new RangeError(`the hash of call ${index} has ${hash.length} bytes, not ${HASH_BYTES}`);
    }
    this.bytes ??= Buffer.allocUnsafeSlow(GATHERED * HASH_BYTES);
    this.bytes.set(hash, this.gathered++ * HASH_BYTES);
    const last = this.stretches.at(-1);
    if (last !== undefined && last.first + last.calls === index) last.calls++;
    else this.stretches.push({ first: index, calls: 1 });
    if (this.gathered === GATHERED) this.flush();
  }

  get(index: number): Uint8Array | undefined {
    this.flush();
    const { store } = this.held;
    const statement = store.prepare(READ_ONE);
    return store.run(() => statement.get(index))?.hash as Uint8Array | undefined;
  }

  /** Those of many calls, in the order asked for. */
  getAll(indices: readonly number[]): (Uint8Array | undefined)[] {
    this.flush();
    const found = new Map<number, Uint8Array>();
    const sorted = Float64Array.from(indices).sort();
    for (let from = 0; from < sorted.length; ) {
      let to = from + 1;
      while (to < sorted.length && sorted[to]! - sorted[to - 1]! <= GAP) to++;
      if (to - from < STRETCH || !this.readStretch(sorted[from]!, sorted[to - 1]!, found)) {
        for (const index of sorted.subarray(from, to)) {
          const hash = this.get(index);
          if (hash !== undefined) found.set(index, hash);
        }
      }
      from = to;
    }
    return indices.map((index) => found.get(index));
  }

  /** @returns false where some of the calls have none */
  private readStretch(first: number, last: number, found: Map<number, Uint8Array>): boolean {
    const { store } = this.held;
    const statement = store.prepare(READ_STRETCH);
    const row = store.run(() => statement.get(first, last));
    const calls = last - first + 1;
    if (row?.calls !== calls) return false;
    const bytes = Buffer.from(row.hashes as string, "hex");
    if (bytes.length !== calls * HASH_BYTES) {
      throw new ArchiveError(`the archive ${store.path} is damaged: some of its hashes are none`);
    }
    for (let i = 0; i < calls; i++) found.set(first + i, bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
    return true;
  }

  /** How many of the consecutive calls from `first` on have this hash. */
  count(first: number, count: number, hash: Uint8Array): number {
    this.flush();
    const { store } = this.held;
    const statement = store.prepare("SELECT count(*) AS calls FROM hashes WHERE idx BETWEEN ? AND ? AND hash = ?");
    return store.run(() => statement.get(first, first + count - 1, hash))?.calls as number;
  }

  /** Writes what was gathered. */
  flush(): void {
    const { bytes, stretches } = this;
    if (bytes === undefined || stretches.length === 0) return;
    const { store } = this.held;
    const one = store.prepare(WRITE_ONE);
    const many = store.prepare(WRITE_STRETCH);
    store.transaction(() => {
      let at = 0;
      for (const { first, calls } of stretches) {
        const part = bytes.subarray(at, at + calls * HASH_BYTES);
        if (calls >= STRETCH) many.run(first, calls, part);
        else for (let i = 0; i < calls; i++) one.run(first + i, part.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
        at += part.length;
      }
    });
    this.stretches = [];
    this.gathered = 0;
  }

  /** Writes what was gathered, unless nobody can read it any more. */
  close(): void {
    if (this.held.store.temporary) this.stretches = [];
    else this.flush();
  }
}
