import { MAX_ENCODED_BYTES, Major } from "./format.ts";

const SCRATCH_BYTES = 16 * 1024;
/** Payloads from this size on are not copied into the scratch buffer but joined once, at the end. */
const LARGE_BYTES = 32 * 1024;

/** A scratch buffer kept between messages; taken out while in use, since a getter may encode another value meanwhile. */
let spare: Buffer | undefined = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** More than `MAX_ENCODED_BYTES`. */
export class TooLarge extends Error {}

/** Collects the bytes of one CBOR message. */
export class Writer {
  private buffer: Buffer;
  private position = 0;
  private chunks: Uint8Array[] | undefined;
  private flushed = 0;

  constructor() {
    this.buffer = spare ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    spare = undefined;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.flushed + this.position;
  }

  byte(value: number): void {
    if (this.position === this.buffer.length) this.reserve(1);
    this.buffer[this.position++] = value;
  }

  /** The first bytes of an item: its major type and a count, a length or a number (RFC 8949, section 3). */
  head(major: number, value: number): void {
    if (this.buffer.length - this.position < 9) this.reserve(9);
    const buffer = this.buffer;
    if (value < 24) {
      buffer[this.position++] = major | value;
    } else if (value < 0x100) {
      buffer[this.position++] = major | 24;
      buffer[this.position++] = value;
    } else if (value < 0x10000) {
      buffer[this.position++] = major | 25;
      buffer[this.position++] = value >> 8;
      buffer[this.position++] = value & 0xff;
    } else if (value < 0x100000000) {
      buffer[this.position++] = major | 26;
      this.position = buffer.writeUInt32BE(value, this.position);
    } else {
      buffer[this.position++] = major | 27;
      this.position = buffer.writeBigUInt64BE(BigInt(value), this.position);
    }
  }

  /** An item whose number always takes eight bytes, which is how a bigint is told from a number. */
  head64(major: number, value: bigint): void {
    if (this.buffer.length - this.position < 9) this.reserve(9);
    this.buffer[this.position++] = major | 27;
    this.position = this.buffer.writeBigUInt64BE(value, this.position);
  }

  float64(initial: number, value: number): void {
    if (this.buffer.length - this.position < 9) this.reserve(9);
    this.buffer[this.position++] = initial;
    this.position = this.buffer.writeDoubleBE(value, this.position);
  }

  /** Writes `value` if it is short and ASCII, as most keys and words are; false if it is not and nothing was written. */
  shortText(value: string): boolean {
    const length = value.length;
    if (length >= 24) return false;
    if (this.buffer.length - this.position < 24) this.reserve(24);
    const buffer = this.buffer;
    const start = this.position;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) return false;
      buffer[start + 1 + i] = unit;
    }
    buffer[start] = Major.text | length;
    this.position = start + 1 + length;
    return true;
  }

  /** A well-formed string. */
  text(value: string): void {
    if (value.length * 3 >= LARGE_BYTES) {
      const bytes = Buffer.from(value, "utf8");
      this.head(Major.text, bytes.length);
      this.append(bytes);
      return;
    }
    const size = Buffer.byteLength(value);
    this.head(Major.text, size);
    if (this.buffer.length - this.position < size) this.reserve(size);
    this.buffer.write(value, this.position, size, "utf8");
    this.position += size;
  }

  /** A byte string; `value` must not change until `finish`. */
  bytes(value: Uint8Array): void {
    this.head(Major.bytes, value.length);
    this.append(value);
  }

  private append(value: Uint8Array): void {
    const size = value.length;
    if (size >= LARGE_BYTES) {
      if (this.length + size > MAX_ENCODED_BYTES) throw new TooLarge();
      this.flush();
      this.chunks?.push(value);
      this.flushed += size;
      return;
    }
    if (this.buffer.length - this.position < size) this.reserve(size);
    this.buffer.set(value, this.position);
    this.position += size;
  }

  /** Sets what was written aside and starts a fresh buffer. */
  private flush(): void {
    this.chunks ??= [];
    if (this.position > 0) {
      this.chunks.push(this.buffer.subarray(0, this.position));
      this.flushed += this.position;
      this.buffer = this.buffer.subarray(this.position);
      this.position = 0;
    }
  }

  private reserve(size: number): void {
    const bytesSoFar = this.length;
    if (bytesSoFar + size > MAX_ENCODED_BYTES) throw new TooLarge();
    this.flush();
    // Growing with what is there keeps the number of chunks small for a message of many small items.
    this.buffer = Buffer.allocUnsafeSlow(Math.max(size, SCRATCH_BYTES, Math.min(bytesSoFar, 8 * 1024 * 1024)));
  }

  /** All bytes, in order; large byte strings are those that were given. The writer is done. */
  finish(): Uint8Array[] {
    if (!this.chunks) {
      const bytes = Buffer.allocUnsafe(this.position);
      this.buffer.copy(bytes, 0, 0, this.position);
      this.release();
      return [bytes];
    }
    this.flush();
    return this.chunks;
  }

  /** Gives the scratch buffer back, also when encoding failed. */
  release(): void {
    if (!this.chunks) spare = this.buffer;
  }
}
