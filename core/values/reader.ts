import { isAscii, isUtf8 } from "node:buffer";
import { DecodeError } from "../errors.ts";
import { Major } from "./format.ts";

/** Shorter texts are checked and read byte by byte; for them a call into native code costs more. */
const SHORT_TEXT = 24;
/** Keys repeat from message to message; this many short texts are remembered by a cheap hash. */
const REMEMBERED = 1024;
const remembered: string[] = new Array(REMEMBERED).fill("");

/**
 * Reads the items of a CBOR message. Nothing a message says about sizes is believed before it was compared with
 * the bytes that are there.
 */
export class Reader {
  readonly source: Buffer;
  position = 0;
  /** The major type of the head read last. */
  major = 0;
  /** The low five bits of its first byte. */
  info = 0;

  constructor(bytes: Uint8Array) {
    this.source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.source.length - this.position;
  }

  fail(problem: string): never {
    throw new DecodeError(`not a value humq encoded: ${problem} (byte ${this.position} of ${this.source.length})`);
  }

  need(count: number): void {
    if (count > this.source.length - this.position) {
      this.fail(`${count} more bytes are announced, ${this.source.length - this.position} are there`);
    }
  }

  /**
   * Reads the first bytes of an item into `major` and `info`.
   *
   * @returns Its count, length or number; for major type 7 and for 64-bit numbers 0: their bytes are still to be read.
   */
  head(): number {
    if (this.position >= this.source.length) this.fail("it ends too early");
    const source = this.source;
    const first = source[this.position++] as number;
    const info = first & 0x1f;
    this.major = first & 0xe0;
    this.info = info;
    if (info < 24) return info;
    if (this.major === Major.simple) return 0;
    switch (info) {
      case 24:
        this.need(1);
        return source[this.position++] as number;
      case 25:
        this.need(2);
        this.position += 2;
        return source.readUInt16BE(this.position - 2);
      case 26:
        this.need(4);
        this.position += 4;
        return source.readUInt32BE(this.position - 4);
      case 27:
        this.need(8);
        return 0;
      default:
        return this.fail(
          info === 31 ? "indefinite lengths are not used" : `the additional information ${info} is reserved`,
        );
    }
  }

  /** The rest of a head whose number takes 64 bits. */
  uint64(): bigint {
    this.position += 8;
    return this.source.readBigUInt64BE(this.position - 8);
  }

  /** The length that a head read as `value` stands for, in items of at least `itemBytes` bytes each. */
  size(value: number, itemBytes: number): number {
    // A length that needs 64 bits is more than any buffer holds in items of this message, bar byte strings over 4 GiB.
    const size = this.info === 27 ? Number(this.uint64()) : value;
    if (size * itemBytes > this.source.length - this.position) {
      this.fail(`${size} more items or bytes are announced, ${this.source.length - this.position} bytes are there`);
    }
    return size;
  }

  /** The item that follows must be of this major type; returns its size. */
  expect(major: number, itemBytes: number, what: string): number {
    const value = this.head();
    if (this.major !== major) this.fail(`${what} was expected`);
    return this.size(value, itemBytes);
  }

  /** A view of the next bytes. */
  bytes(length: number): Buffer {
    this.need(length);
    this.position += length;
    return this.source.subarray(this.position - length, this.position);
  }

  float16(): number {
    const [high, low] = this.bytes(2) as unknown as [number, number];
    const exponent = (high & 0x7c) >> 2;
    const fraction = ((high & 3) << 8) | low;
    const sign = high & 0x80 ? -1 : 1;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  }

  float32(): number {
    this.need(4);
    this.position += 4;
    return this.source.readFloatBE(this.position - 4);
  }

  float64(): number {
    this.need(8);
    this.position += 8;
    return this.source.readDoubleBE(this.position - 8);
  }

  /** The text of the next `length` bytes, which must be UTF-8. */
  text(length: number): string {
    this.need(length);
    const start = this.position;
    const end = start + length;
    this.position = end;
    const source = this.source;
    if (length < SHORT_TEXT) {
      let hash = length;
      let seen = 0;
      for (let i = start; i < end; i++) {
        const byte = source[i] as number;
        seen |= byte;
        hash = (hash * 31 + byte) | 0;
      }
      if (seen < 0x80) return this.shortAscii(start, end, hash & (REMEMBERED - 1));
    }
    const bytes = source.subarray(start, end);
    if (isAscii(bytes)) return source.toString("latin1", start, end);
    if (!isUtf8(bytes)) this.fail("a text is not UTF-8");
    return source.toString("utf8", start, end);
  }

  private shortAscii(start: number, end: number, slot: number): string {
    const source = this.source;
    const known = remembered[slot] as string;
    if (known.length === end - start) {
      let i = 0;
      while (i < known.length && known.charCodeAt(i) === source[start + i]) i++;
      if (i === known.length) return known;
    }
    const text = source.toString("latin1", start, end);
    remembered[slot] = text;
    return text;
  }
}
