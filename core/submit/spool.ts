/** Calls of an iterable that are looked at twice, as those of a resumed tag: kept in a file, since there may be many. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CallSource, RecordedCalls } from "./source.ts";

const WRITE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;
/** Of so many calls the place of the first is remembered. */
const STRIDE = 64;
const LENGTH_BYTES = 4;
const TAKEN = 1000;

export class Spool implements RecordedCalls, Disposable {
  readonly #file: number;
  /** Where every {@link STRIDE}th call begins. */
  #places = new Float64Array(1024);
  #length = 0;
  #written = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** What was read last: bytes from `at` on. */
  #window = { at: 0, bytes: Buffer.alloc(0) };
  /** Where the call behind the last one that was read begins. */
  #next = { index: 0, at: 0 };

  private constructor() {
    const folder = mkdtempSync(join(tmpdir(), "humq-"));
    // Nobody else can open it, and it is gone when this process is, however that ends.
    this.#file = openSync(join(folder, "calls"), "wx+", 0o600);
    rmSync(folder, { recursive: true });
  }

  /** @throws CallsFailed where the source does */
  static async of(source: CallSource): Promise<Spool> {
    const spool = new Spool();
    try {
      for (let lists = await source.take(TAKEN); lists.length > 0; lists = await source.take(TAKEN)) {
        for (const list of lists) spool.#add(list);
      }
      spool.#flush();
      return spool;
    } catch (error) {
      spool[Symbol.dispose]();
      throw error;
    }
  }

  get length(): number {
    return this.#length;
  }

  #add(list: Uint8Array): void {
    if (this.#length % STRIDE === 0) {
      const place = this.#length / STRIDE;
      if (place === this.#places.length) {
        const grown = new Float64Array(this.#places.length * 2);
        grown.set(this.#places);
        this.#places = grown;
      }
      this.#places[place] = this.#written + this.#waitingBytes;
    }
    this.#length++;
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(list.length);
    this.#waiting.push(length, list);
    this.#waitingBytes += LENGTH_BYTES + list.length;
    if (this.#waitingBytes >= WRITE_BYTES) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting, this.#waitingBytes);
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#written + done);
    }
    this.#written += bytes.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #read(at: number, length: number): Buffer {
    const from = at - this.#window.at;
    if (from >= 0 && from + length <= this.#window.bytes.length)
      return this.#window.bytes.subarray(from, from + length);
    // Not into the same buffer: what was read before may still be in use.
    const bytes = Buffer.allocUnsafe(Math.max(length, Math.min(READ_BYTES, this.#written - at)));
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(this.#file, bytes, done, bytes.length - done, at + done);
      if (read === 0) throw new Error("the file of the calls to submit has become shorter");
      done += read;
    }
    this.#window = { at, bytes };
    return bytes.subarray(0, length);
  }

  slice(from: number, to: number): Uint8Array[] {
    const last = Math.min(to, this.#length);
    if (from >= last) return [];
    if (this.#next.index > from || this.#next.index < from - (from % STRIDE)) {
      const place = Math.floor(from / STRIDE);
      this.#next = { index: place * STRIDE, at: this.#places[place]! };
    }
    const lists: Uint8Array[] = [];
    let { index, at } = this.#next;
    for (; index < last; index++) {
      const length = this.#read(at, LENGTH_BYTES).readUInt32BE();
      if (index >= from) lists.push(this.#read(at + LENGTH_BYTES, length));
      at += LENGTH_BYTES + length;
    }
    this.#next = { index, at };
    return lists;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
