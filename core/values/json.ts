import { DecodeError } from "../errors.ts";
import { MAX_DEPTH, Major, Simple } from "./format.ts";
import { Reader } from "./reader.ts";

/**
 * The JSON text of an encoded value, if `JSON.parse` makes exactly the same value of it: null, booleans, finite numbers
 * except -0, well-formed strings, and plain arrays and objects of them, none of which occurs twice.
 * Undefined for any other value, and for bytes that are no value.
 *
 * Made from the bytes, not from the decoded value: everything JSON has no form for has its own mark there, and values
 * that share parts cannot grow.
 */
export function jsonOf(bytes: Uint8Array): string | undefined {
  const writer = new JsonWriter(bytes);
  try {
    const json = writer.value(0);
    return writer.remaining === 0 ? json : undefined;
  } catch (error) {
    if (error instanceof DecodeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

class JsonWriter extends Reader {
  /** The next value as JSON; undefined, which ends the work, if it has no exact form. */
  value(depth: number): string | undefined {
    const value = this.head();
    switch (this.major) {
      case Major.unsigned:
        return this.info === 27 ? undefined : `${value}`;
      case Major.negative:
        return this.info === 27 ? undefined : `${-1 - value}`;
      case Major.text:
        return JSON.stringify(this.text(this.size(value, 1)));
      case Major.array:
        return depth < MAX_DEPTH ? this.array(this.size(value, 1), depth + 1) : undefined;
      case Major.map:
        return depth < MAX_DEPTH ? this.object(this.size(value, 2), depth + 1) : undefined;
      case Major.simple:
        return this.simple();
      default:
        return undefined;
    }
  }

  private simple(): string | undefined {
    switch (Major.simple | this.info) {
      case Simple.false:
        return "false";
      case Simple.true:
        return "true";
      case Simple.null:
        return "null";
      case Simple.float64: {
        const number = this.float64();
        return Number.isFinite(number) && !Object.is(number, -0) ? `${number}` : undefined;
      }
      default:
        return undefined;
    }
  }

  private array(size: number, depth: number): string | undefined {
    let json = "[";
    for (let i = 0; i < size; i++) {
      const item = this.value(depth);
      if (item === undefined) return undefined;
      json += i === 0 ? item : `,${item}`;
    }
    return `${json}]`;
  }

  private object(size: number, depth: number): string | undefined {
    let json = "{";
    for (let i = 0; i < size; i++) {
      const length = this.head();
      if (this.major !== Major.text) return undefined;
      const key = JSON.stringify(this.text(this.size(length, 1)));
      const value = this.value(depth);
      if (value === undefined) return undefined;
      json += i === 0 ? `${key}:${value}` : `,${key}:${value}`;
    }
    return `${json}}`;
  }
}
