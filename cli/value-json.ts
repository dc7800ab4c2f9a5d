/**
 * Values as JSON. What JSON has no form for becomes an object with one key that begins with `$`:
 *
 * | value | JSON |
 * | --- | --- |
 * | NaN, Infinity, -0 | `{"$number":"NaN"}` |
 * | bigint | `{"$bigint":"123"}` |
 * | undefined, an array's hole | `{"$undefined":true}` |
 * | Date | `{"$date":"2026-01-31T00:00:00.000Z"}`, `null` for an invalid one |
 * | Map, Set | `{"$map":[[key,value]]}`, `{"$set":[value]}` |
 * | RegExp | `{"$regexp":"/a/g"}` |
 * | Buffer, Uint8Array, ArrayBuffer, DataView | `{"$bytes":"<base64>"}` |
 * | other typed arrays | `{"$Float64Array":[1,2]}`, by the array's name |
 * | Error | `{"$error":{"name":...,"message":...,"stack":...}}` |
 * | a value that occurred before | `{"$ref":"$.path[0].to.it"}`, where it stands for the first time |
 *
 * A key of the user's own that begins with `$` gets a second one in front.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** @param value anything that a task may return */
export function toJson(value: unknown): Json {
  return new Writer().write(value, "$");
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
        return { $bigint: `${value}` };
      case "object":
        return value === null ? null : this.#object(value, path);
      default:
        return { $undefined: true };
    }
  }

  #object(value: object, path: string): Json {
    const before = this.#seen.get(value);
    if (before !== undefined) return { $ref: before };
    this.#seen.set(value, path);
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
      name: String(name),
      message: String(message),
      ...(stack !== undefined && { stack: String(stack) }),
      ...(cause !== undefined && { cause: this.write(cause, `${path}.cause`) }),
      ...(this.#plain(own, path) as { [key: string]: Json }),
    };
  }
}

/** An error with what is known of it; its cause and own properties as {@link toJson} shows them. */
export function errorJson(error: Error): Json {
  return new Writer().error(error, "$");
}
