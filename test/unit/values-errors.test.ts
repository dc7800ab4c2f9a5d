import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../core/errors.ts";
import { decodeError, decodeValue, encodeError, encodeResult, errorLine } from "../../core/values/index.ts";

const roundTrip = (thrown: unknown): Error => decodeError(encodeError(thrown));

class OutOfFuel extends Error {
  readonly litres: number;
  readonly engine = { start: () => true };
  constructor(litres: number) {
    super("out of fuel");
    this.name = "OutOfFuel";
    this.litres = litres;
  }
}

describe("an error comes back", () => {
  test.each([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])(
    "as the built-in %o",
    (type) => {
      const thrown = new type("what happened");
      const back = roundTrip(thrown);
      expect(Object.getPrototypeOf(back)).toBe(type.prototype);
      expect([back.name, back.message, back.stack]).toEqual([thrown.name, thrown.message, thrown.stack]);
      expect(Object.keys(back)).toEqual([]);
    },
  );

  test("with its name, where the class is the user's, and the properties that can travel", () => {
    const back = roundTrip(new OutOfFuel(3)) as OutOfFuel;
    expect(back).toBeInstanceOf(Error);
    expect([back.name, back.message, back.litres]).toEqual(["OutOfFuel", "out of fuel", 3]);
    expect("engine" in back).toBe(false);
    expect(back.toString()).toBe("OutOfFuel: out of fuel");
  });

  test("with its chain of causes", () => {
    const back = roundTrip(new Error("a", { cause: new TypeError("b", { cause: { code: 5 } }) }));
    expect(back.cause).toBeInstanceOf(TypeError);
    assert.deepStrictEqual((back.cause as Error).cause, { code: 5 });
    expect(Object.hasOwn(roundTrip(new Error("none")), "cause")).toBe(false);
    expect(Object.hasOwn(roundTrip(new Error("none", { cause: undefined })), "cause")).toBe(true);
  });

  test("with a cause that cannot travel in words", () => {
    expect(roundTrip(new Error("a", { cause: () => 1 })).cause).toBe("[Function: cause]");
    expect(roundTrip(new Error("a", { cause: new Socket() })).cause).toContain("Socket {");
  });

  test("with the errors of an AggregateError", () => {
    const back = roundTrip(new AggregateError([new TypeError("a"), "b", Symbol("c")], "all")) as AggregateError;
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.errors).toEqual([new TypeError("a"), "b", "Symbol(c)"]);
  });

  test("where it is its own cause, or in its own properties", () => {
    const error = Object.assign(new Error("round"), { context: {} as Record<string, unknown> });
    error.cause = error;
    error.context.error = error;
    error.context.others = [new Error("x", { cause: error }), error];
    const back = roundTrip(error) as typeof error;
    expect(back.cause).toBe(back);
    expect(back.context.error).toBe(back);
  });

  test("where errors refer to each other in hundreds of levels", () => {
    let error = new Error("0");
    for (let i = 1; i < 3000; i++)
      error = Object.assign(new Error(`${i}`, { cause: error }), { details: { error }, broken: () => 1 });
    const back = roundTrip(error);
    expect([back.message, (back.cause as Error).message]).toEqual(["2999", "2998"]);
  });

  test("where it stands in a result", () => {
    const [error] = decodeValue(encodeResult([new RangeError("inside")])) as Error[];
    expect(error).toBeInstanceOf(RangeError);
  });

  test("with properties named like an object's own machinery", () => {
    const thrown = new Error("x");
    for (const [key, value] of Object.entries({ ["__proto__"]: 1, constructor: 2, errors: { a: 3 } })) {
      Object.defineProperty(thrown, key, { value, enumerable: true });
    }
    const back = roundTrip(thrown);
    expect(Object.getPrototypeOf(back)).toBe(Error.prototype);
    expect(Object.entries(back)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
      ["errors", { a: 3 }],
    ]);
  });

  test("where reading it fails", () => {
    const hostile = Object.defineProperties(new Error("x"), {
      stack: {
        get() {
          throw new Error("stack");
        },
      },
      message: {
        get() {
          throw new Error("message");
        },
      },
      name: { value: Symbol("n") },
      extra: {
        enumerable: true,
        get() {
          throw new Error("extra");
        },
      },
    });
    expect(roundTrip(hostile).toString()).toBe("Error");
  });
});

describe("what is not an error", () => {
  test.each<[thrown: unknown, message: string]>([
    ["text", "something that is not an Error was thrown: 'text'"],
    [undefined, "something that is not an Error was thrown: undefined"],
    [{ code: 5 }, "something that is not an Error was thrown: { code: 5 }"],
    [Symbol("s"), "something that is not an Error was thrown: Symbol(s)"],
  ])("%#: comes back in one", (thrown, message) => {
    const back = roundTrip(thrown);
    expect(back.message).toBe(message);
    if (typeof thrown !== "symbol") expect(back.cause).toEqual(thrown);
    expect(back.stack).toBe(`Error: ${message}`);
  });

  test("is refused when decoded as one", () => {
    expect(() => decodeError(encodeResult({ message: "x" }))).toThrow(DecodeError);
  });
});

describe("the first line of an error", () => {
  const own: Error = new Error("its own cause");
  own.cause = own;
  test.each<[thrown: unknown, line: string]>([
    [new TypeError("what happened"), "TypeError: what happened"],
    [new OutOfFuel(3), "OutOfFuel: out of fuel"],
    [new RangeError(""), "RangeError"],
    [own, "Error: its own cause"],
    ["text", "Error: something that is not an Error was thrown: 'text'"],
  ])("%#: is read as the error itself would say it", (thrown, line) => {
    expect(errorLine(encodeError(thrown))).toBe(line);
    expect(String(roundTrip(thrown))).toBe(line);
  });

  test("is not read from anything else", () => {
    for (const value of [1, "Error", ["Error", "a", "b", {}], new Date(), /x/]) {
      expect(() => errorLine(encodeResult(value))).toThrow(DecodeError);
    }
    expect(() => errorLine(new Uint8Array())).toThrow(DecodeError);
  });
});
