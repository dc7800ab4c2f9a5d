/**
 * The canonical encoding of everything that is signed or authenticated.
 *
 * A record is its domain (for example `humq/grant/1`) followed by its fields in a fixed order; every
 * field of variable size carries its length as a big-endian u32. So there is exactly one encoding of a
 * value, no two records of different kinds share bytes, and no field can leak into its neighbour.
 */
import { DecodeError } from "../errors.ts";

const MAX_RECORD_BYTES = 64 * 1024 * 1024;

/** UTF-8 takes at most so many bytes for a unit of a text (RFC 3629: four for a pair of them). */
const MOST_UTF8_BYTES = 3;
/** Names and the like; longer texts are left to a decoder. */
const SHORT_TEXT = 64;

/** A writer's buffer is kept for the next record where it has not grown beyond this; larger records keep it. */
const KEPT_BYTES = 16 * 1024;

class Writer {
  #buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #length = 0;

  #reserve(bytes: number): number {
    const start = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length));
      this.#buffer.copy(grown, 0, 0, start);
      this.#buffer = grown;
    }
    return start;
  }

  #setU32(at: number, value: number): void {
    const buffer = this.#buffer;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  u32(value: number): void {
    this.#setU32(this.#reserve(4), value);
  }

  u64(value: number): void {
    const start = this.#reserve(8);
    this.#setU32(start, Math.floor(value / 0x1_0000_0000));
    this.#setU32(start + 4, value % 0x1_0000_0000);
  }

  raw(value: Uint8Array): void {
    const start = this.#reserve(value.length);
    this.#buffer.set(value, start);
  }

  /** A well-formed text as UTF-8, its length in front. */
  text(value: string): void {
    const start = this.#reserve(4 + value.length * MOST_UTF8_BYTES);
    const bytes = this.#buffer.write(value, start + 4, "utf8");
    this.#setU32(start, bytes);
    this.#length = start + 4 + bytes;
  }

  /** Begins anew, after {@link finish}. */
  reset(): void {
    this.#length = 0;
  }

  /** What was written; its own bytes where {@link canReset} is true. */
  finish(): Uint8Array {
    const written = this.#buffer.subarray(0, this.#length);
    return this.canReset ? Buffer.from(written) : written;
  }

  get canReset(): boolean {
    return this.#buffer.length === KEPT_BYTES;
  }
}

class Reader {
  readonly #buffer: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(bytes: number): number {
    const start = this.#offset;
    if (bytes > this.#buffer.length - start) throw new DecodeError("a record ends before its last field");
    this.#offset += bytes;
    return start;
  }

  #getU32(at: number): number {
    const buffer = this.#buffer;
    return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0;
  }

  u32(): number {
    return this.#getU32(this.#take(4));
  }

  u64(): number {
    const start = this.#take(8);
    const value = this.#getU32(start) * 0x1_0000_0000 + this.#getU32(start + 4);
    if (!Number.isSafeInteger(value)) throw new DecodeError("a record holds a number above 2^53 - 1");
    return value;
  }

  raw(bytes: number): Uint8Array {
    const start = this.#take(bytes);
    return this.#buffer.subarray(start, start + bytes);
  }

  /** As {@link raw}, as text where every byte is ASCII and they are few; else undefined, and nothing is read. */
  shortAscii(bytes: number): string | undefined {
    const start = this.#offset;
    if (bytes > SHORT_TEXT || bytes > this.#buffer.length - start) return undefined;
    for (let at = start; at < start + bytes; at++) if (this.#buffer[at]! > 0x7f) return undefined;
    this.#offset += bytes;
    return this.#buffer.toString("latin1", start, start + bytes);
  }

  /** Reads `expected` where it is there; else false, and nothing is read. */
  skip(expected: Uint8Array): boolean {
    if (expected.length > this.#buffer.length) return false;
    for (let i = 0; i < expected.length; i++) if (this.#buffer[i] !== expected[i]) return false;
    this.#offset = expected.length;
    return true;
  }

  end(): void {
    if (this.#offset !== this.#buffer.length) throw new DecodeError("a record has bytes after its last field");
  }
}

/** How one field is written and read. */
export interface Field<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
}

/** An unsigned 32-bit integer. */
export const u32: Field<number> = {
  write(writer, value) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError(`not a u32: ${value}`);
    writer.u32(value);
  },
  read: (reader) => reader.u32(),
};

/** An unsigned integer up to 2^53 - 1: times in milliseconds since 1970, sizes in bytes, indices. */
export const u64: Field<number> = {
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned integer: ${value}`);
    writer.u64(value);
  },
  read: (reader) => reader.u64(),
};

/** Bytes of any length. */
export const bytes: Field<Uint8Array> = {
  write(writer, value) {
    writer.u32(value.length);
    writer.raw(value);
  },
  read: (reader) => reader.raw(reader.u32()),
};

/** Exactly `length` bytes, without a length in front. */
export function fixed(length: number): Field<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length !== length) throw new RangeError(`expected ${length} bytes, got ${value.length}`);
      writer.raw(value);
    },
    read: (reader) => reader.raw(length),
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Well-formed text as UTF-8. */
export const text: Field<string> = {
  write(writer, value) {
    if (!value.isWellFormed()) throw new RangeError("text with a lone surrogate has no UTF-8 form");
    writer.text(value);
  },
  read(reader) {
    const length = reader.u32();
    const ascii = reader.shortAscii(length);
    if (ascii !== undefined) return ascii;
    const raw = reader.raw(length);
    try {
      return utf8.decode(raw);
    } catch (cause) {
      throw new DecodeError("a record holds text that is not UTF-8", { cause });
    }
  },
};

/** Any number of one kind of field, their count in front. */
export function list<T>(item: Field<T>): Field<T[]> {
  return {
    write(writer, values) {
      writer.u32(values.length);
      for (const value of values) item.write(writer, value);
    },
    read(reader) {
      const values: T[] = [];
      for (let left = reader.u32(); left > 0; left--) values.push(item.read(reader));
      return values;
    },
  };
}

/** Named fields in the order in which they are listed. */
export function struct<T extends object>(fields: { [K in keyof T]: Field<T[K]> }): Field<T> {
  const entries = Object.entries(fields) as [keyof T, Field<T[keyof T]>][];
  return {
    write(writer, value) {
      for (const [name, field] of entries) field.write(writer, value[name]);
    },
    read(reader) {
      const value = {} as T;
      for (const [name, field] of entries) value[name] = field.read(reader);
      return value;
    },
  };
}

/** One kind of record: its domain and its fields. */
export interface RecordType<T> {
  readonly domain: string;
  encode(value: T): Uint8Array;
  /** @throws DecodeError where the bytes are of another domain, too short, too long or malformed */
  decode(encoded: Uint8Array): T;
}

/** Kind and version of a domain `humq/<what>/<version>`. */
export function parseDomain(domain: string): { kind: string; version: number } | undefined {
  const [, kind, version] = /^humq\/([a-z-]+)\/([1-9]\d{0,8})$/.exec(domain) ?? [];
  return kind === undefined ? undefined : { kind, version: Number(version) };
}

/** The domain that encoded bytes begin with. @throws DecodeError where they do not begin with one */
export function domainOf(encoded: Uint8Array): string {
  return text.read(new Reader(encoded));
}

let spare: Writer | undefined;

function encodeWith(write: (writer: Writer) => void): Uint8Array {
  // Taken out while in use: a getter of a value may encode another record.
  const writer = spare ?? new Writer();
  spare = undefined;
  writer.reset();
  write(writer);
  const encoded = writer.finish();
  if (writer.canReset) spare = writer;
  return encoded;
}

/**
 * Defines a record; `domain` is `humq/<what>/<version>`.
 * @param mostBytes what is longer is not decoded, default 64 MB
 */
export function recordType<T extends object>(
  domain: string,
  fields: { [K in keyof T]: Field<T[K]> },
  mostBytes = MAX_RECORD_BYTES,
): RecordType<T> {
  const body = struct(fields);
  const front = encodeWith((writer) => text.write(writer, domain));
  return {
    domain,
    encode: (value) =>
      encodeWith((writer) => {
        writer.raw(front);
        body.write(writer, value);
      }),
    decode(encoded) {
      if (encoded.length > mostBytes) throw new DecodeError(`${domain}: ${encoded.length} bytes is too large`);
      const reader = new Reader(encoded);
      if (!reader.skip(front)) {
        const found = text.read(reader);
        throw new DecodeError(`expected a record of kind ${domain}, got ${JSON.stringify(found.slice(0, 60))}`);
      }
      const value = body.read(reader);
      reader.end();
      return value;
    },
  };
}
