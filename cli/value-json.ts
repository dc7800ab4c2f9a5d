/**
 * Values as JSON. What JSON has no form for becomes an object with one key that begins with `$`:
 *
 * | value | JSON |
 * | --- | --- |
 * | NaN, Infinity, -0 | `{"$number":"NaN"}` |
 * | bigint | `{"$bigint":"123"}`; of more than 10,000 digits in hexadecimal, `{"$bigint":"-0x1f"}` |
 * | undefined, an array's hole | `{"$undefined":true}` |
 * | an array of more than 10,000 items, most of them holes | `{"$sparse":{"length":30000,"items":{"7":value}}}` |
 * | Date | `{"$date":"2026-01-31T00:00:00.000Z"}`, `null` for an invalid one |
 * | Map, Set | `{"$map":[[key,value]]}`, `{"$set":[value]}` |
 * | RegExp | `{"$regexp":"/a/g"}` |
 * | Buffer, Uint8Array, ArrayBuffer, DataView | `{"$bytes":"<base64>"}` |
 * | other typed arrays | `{"$Float64Array":[1,2]}`, by the array's name |
 * | Error | `{"$error":{"name":...,"message":...,"stack":...}}` |
 * | a value that occurred before | `{"$ref":"$.path[0].to.it"}`, where it stands for the first time; where that path is longer than 1000 characters `{"$ref":"#17"}`: the 17th object or array, as they begin in the text, from 0 |
 *
 * A key of the user's own that begins with `$` gets a second one in front.
 */

import { describe } from "../core/values/error-parts.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** @param value anything that a task may return */
export function toJson(value: unknown): Json {
  return new Writer().write(value, "$");
}

/** A bigint in decimal takes time by the square of its length. */
const DECIMAL_LIMIT = 10n ** 10_000n;
/** Up to here holes are written out. */
const DENSE_LENGTH = 10_000;
/** A name for a place must not be long: there may be as many references to it as fit the message. */
const LONGEST_PATH = 1000;

function bigintText(value: bigint): string {
  if (value > -DECIMAL_LIMIT && value < DECIMAL_LIMIT) return `${value}`;
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** Whether an array's length says far more than its items; a few bytes can claim four billion. */
function isSparse(array: readonly unknown[]): boolean {
  return array.length > DENSE_LENGTH && Object.keys(array).length < array.length / 2;
}

/** Of an error that was thrown here these may be anything. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : describe(value);
}

class Writer {
  /** Where each object stands: shared parts are named, not repeated, so that they cannot grow without end. */
  readonly #seen = new Map<object, string>();

  write(value: unknown, path: string): Json {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : { $number: Object.is(value, -0) ? "-0" : `${value}` };
      case "bigint":
        return { $bigint: bigintText(value) };
      case "object":
        return value === null ? null : this.#object(value, path);
      default:
        return { $undefined: true };
    }
  }

  #object(value: object, path: string): Json {
    const before = this.#seen.get(value);
    if (before !== undefined) return { $ref: before };
    this.#seen.set(value, path.length > LONGEST_PATH ? `#${this.#seen.size}` : path);
    if (Array.isArray(value) && isSparse(value)) {
      return { $sparse: { length: value.length, items: this.#plain({ ...value }, path) } };
    }
    if (Array.isArray(value)) return Array.from(value, (item, i) => this.write(item, `${path}[${i}]`));
    return this.#special(value, path) ?? this.#plain(value, path);
  }

  #special(value: object, path: string): Json | undefined {
    if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
    if (value instanceof Map) {
      return { $map: Array.from(value, (entry, i) => entry.map((part, j) => this.write(part, `${path}[${i}][${j}]`))) };
    }
    if (value instanceof Set) return { $set: Array.from(value, (item, i) => this.write(item, `${path}[${i}]`)) };
    if (value instanceof RegExp) return { $regexp: String(value) };
    if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
    if (ArrayBuffer.isView(value)) return this.#view(value, path);
    if (value instanceof Error) return { $error: this.error(value, path) };
    if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) {
      return this.write(value.valueOf(), path);
    }
    return undefined;
  }

  #view(value: ArrayBufferView, path: string): Json {
    if (value instanceof Uint8Array || value instanceof DataView) {
      return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
    }
    const items = Array.from(value as unknown as ArrayLike<number | bigint>, (item) => this.write(item, path));
    return { [`$${value.constructor.name}`]: items };
  }

  #plain(value: object, path: string): Json {
    const entries = Object.entries(value).map(([key, item]): [string, Json] => [
      key.startsWith("$") ? `$${key}` : key,
      this.write(item, `${path}.${key}`),
    ]);
    return Object.fromEntries(entries);
  }

  error(error: Error, path: string): { [key: string]: Json } {
    const { name, message, stack, cause, ...own } = error as Error & Record<string, unknown>;
    return {
      name: textOf(name),
      message: textOf(message),
      ...(stack !== undefined && { stack: textOf(stack) }),
      ...(cause !== undefined && { cause: this.write(cause, `${path}.cause`) }),
      ...(this.#plain(own, path) as { [key: string]: Json }),
    };
  }
}

/** An error with what is known of it; its cause and own properties as {@link toJson} shows them. */
export function errorJson(error: Error): Json {
  return new Writer().error(error, "$");
}
