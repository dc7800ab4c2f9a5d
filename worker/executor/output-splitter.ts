/** Finds the markers of child/console-output.ts in a stream, in whatever pieces it comes. */

/** Text, and the call it belongs to where a marker said so. */
export interface Printed {
  job?: number;
  index?: number;
  bytes: Buffer;
}

const NUL = 0;
/** ":" + job (u32) + ":" + index (up to 2^53) + NUL. */
const MAX_TAIL = 1 + 10 + 1 + 16 + 1;

export class OutputSplitter {
  readonly #head: Buffer;
  #rest: Buffer = Buffer.alloc(0);
  #owner: { job: number; index: number } | undefined;

  constructor(marker: string) {
    this.#head = Buffer.from(`\0${marker}:`, "latin1");
  }

  /** Adds what was read; returns the text that is certainly no piece of a marker. */
  push(chunk: Buffer): Printed[] {
    let buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    const found: Printed[] = [];
    for (;;) {
      const start = buffer.indexOf(this.#head);
      const end = start === -1 ? -1 : buffer.indexOf(NUL, start + this.#head.length);
      if (start === -1 || (end === -1 && buffer.length - start < this.#head.length + MAX_TAIL)) {
        const safe = start === -1 ? this.#safeLength(buffer) : start;
        this.#take(found, buffer.subarray(0, safe));
        this.#rest = buffer.subarray(safe);
        return found;
      }
      this.#take(found, buffer.subarray(0, start));
      const tail = end === -1 ? "" : buffer.toString("latin1", start + this.#head.length, end);
      const match = /^(\d{1,10}):(\d{1,16})$/.exec(tail);
      if (match !== null) this.#owner = { job: Number(match[1]), index: Number(match[2]) };
      // User code that forges a malformed marker loses its head, nothing else.
      buffer = buffer.subarray(match === null ? start + this.#head.length : end + 1);
    }
  }

  /** What was held back as a possible piece of a marker, once nothing more will come. */
  end(): Printed[] {
    const found: Printed[] = [];
    this.#take(found, this.#rest);
    this.#rest = Buffer.alloc(0);
    return found;
  }

  /** How much of the buffer cannot be the beginning of a marker. */
  #safeLength(buffer: Buffer): number {
    const from = Math.max(0, buffer.length - this.#head.length + 1);
    for (let start = buffer.indexOf(NUL, from); start !== -1; start = buffer.indexOf(NUL, start + 1)) {
      if (this.#head.subarray(0, buffer.length - start).equals(buffer.subarray(start))) return start;
    }
    return buffer.length;
  }

  #take(found: Printed[], bytes: Buffer): void {
    if (bytes.length > 0) found.push({ ...this.#owner, bytes });
  }
}
