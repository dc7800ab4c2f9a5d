import { EventEmitter } from "node:events";
import { Socket } from "node:net";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { UnsupportedValueError } from "../../core/errors.ts";
import { encodeArguments, encodeResult, encodeValue } from "../../core/values/index.ts";

class Account {
  #balance = 5;
  owner = "x";
  get balance(): number {
    return this.#balance;
  }
}

class Savings extends Account {
  rate = 0.1;
}

function refused(encode: () => unknown): UnsupportedValueError {
  try {
    encode();
  } catch (error) {
    if (error instanceof UnsupportedValueError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("the path says where the value is", () => {
  const bad = () => 1;
  test.each<[value: unknown, path: string]>([
    [bad, "result"],
    [{ config: { socket: bad } }, "result, .config.socket"],
    [[0, 1, 2, { x: bad }], "result, [3].x"],
    [{ "not a name": { "": bad } }, 'result, ["not a name"][""]'],
    [new Map([["key", [bad]]]), 'result, .get("key")[0]'],
    [new Map([[5, bad]]), "result, .get(5)"],
    [new Map([[{}, bad]]), "result, .values()[0]"],
    [
      new Map([
        ["a", 1 as unknown],
        [bad as never, 2],
      ]),
      "result, .keys()[1]",
    ],
    [new Set([1, { a: bad }]), "result, .values()[1].a"],
    [Object.assign([1], { extra: bad }), "result, .extra"],
    [Array.from({ length: 100 }, (_, i) => (i === 77 ? bad : i)), "result, [77]"],
  ])("%#: %o", (value, path) => {
    const error = refused(() => encodeResult(value));
    expect(error.path).toBe(path);
    expect(error.message).toMatch(`${path}: a function cannot travel as a value; `);
  });

  test("for arguments, counted from 1", () => {
    expect(refused(() => encodeArguments([1, { config: { socket: new Socket() } }])).path).toBe(
      "argument 2, .config.socket",
    );
    expect(refused(() => encodeArguments([Symbol("s")])).path).toBe("argument 1");
  });

  test("for what the caller calls the value", () => {
    expect(refused(() => encodeValue({ a: bad }, "default of b")).path).toBe("default of b, .a");
  });

  test("also in a value with shared parts, at the first place", () => {
    const part = { bad };
    expect(refused(() => encodeResult([part, part])).path).toBe("result, [0].bad");
  });

  test("shortened where it is very long", () => {
    let deep: unknown = bad;
    for (let i = 0; i < 500; i++) deep = { next: deep };
    expect(refused(() => encodeResult(deep)).path.length).toBeLessThan(200);
  });
});

describe("the message says what it is and what to do", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each<[value: () => unknown, message: string]>([
    [() => Symbol("x"), "a symbol cannot travel: it would be another one there; send a string"],
    [() => Promise.resolve(1), "a promise cannot travel; await it first"],
    [() => new WeakMap(), "a WeakMap cannot travel: what it refers to stays here; send a Map, Set or array"],
    [() => new WeakRef({}), "a WeakRef cannot travel: what it refers to stays here; send a Map, Set or array"],
    [() => new Socket(), "a Socket cannot travel: its connections and listeners belong to this process; "],
    [() => Readable.from([]), "a Readable cannot travel: its connections and listeners belong to this process; "],
    [() => new EventEmitter(), "a EventEmitter cannot travel: its connections and listeners belong to this process; "],
    [() => new AbortController().signal, "a AbortSignal cannot travel: "],
    [
      () => new Account(),
      "a Account cannot travel: its private fields (#...) would be lost; send a plain object made from it",
    ],
    [() => new Savings(), "a Savings cannot travel: its private fields (#...) would be lost; "],
    [() => new URL("http://localhost"), "a URL cannot travel: "],
    [() => new Blob(["x"]), "a Blob cannot travel: "],
    [() => new Intl.NumberFormat("en"), "a NumberFormat cannot travel: its state is outside JavaScript; "],
    [() => [1].values(), "an iterator cannot travel; send an array made from it ([...iterator])"],
    [
      () =>
        (function* () {
          yield 1;
        })(),
      "a generator cannot travel; send an array made from it ([...generator])",
    ],
    [() => new SharedArrayBuffer(1), "a SharedArrayBuffer cannot be shared with another process; "],
    [
      () =>
        Object.defineProperty(
          new (class Box {
            a = 1;
          })(),
          "b",
          { value: 2 },
        ),
      "a Box cannot travel: its hidden property b would be lost; ",
    ],
    [
      () => {
        const bytes = new Uint8Array(8);
        structuredClone(bytes, { transfer: [bytes.buffer] });
        return bytes;
      },
      "its ArrayBuffer was transferred away, so its data is gone; ",
    ],
    [
      () => ({
        get broken() {
          throw new Error("no disk");
        },
      }),
      "it could not be read: Error: no disk",
    ],
  ])("%#: %s", (make, message) => {
    expect(refused(() => encodeResult([make()])).message).toContain(`: ${message}`);
  });

  test("and a value that could not be read is the cause", () => {
    const error = refused(() =>
      encodeResult({
        get a() {
          throw new TypeError("no");
        },
      }),
    );
    expect(error.path).toBe("result, .a");
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  test("more than fits one message is refused before it is written", () => {
    const half = new Uint8Array(300 * 1024 * 1024);
    expect(refused(() => encodeResult([half, half.subarray(0)])).message).toContain(
      "at most 512 MB can travel as one value",
    );
    expect(refused(() => encodeArguments([half, half.subarray(0)])).path).toBe("arguments, [1]");
  });
});

test("encoding goes on working after a refusal", () => {
  for (let i = 0; i < 3; i++) {
    refused(() => encodeResult({ a: "x".repeat(20_000), b: () => 1 }));
    expect(encodeResult([1])).toEqual(Buffer.from([0x81, 1]));
  }
});
