import assert from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeArguments, encodeResult, encodeValue, jsonOf, MAX_DEPTH } from "../../core/values/index.ts";

const roundTrip = (value: unknown): unknown => decodeValue(encodeResult(value));

class Plain {
  x = 1;
  y = [2];
  norm(): number {
    return this.x;
  }
}

/** `array` with nothing at `index`, not even undefined. */
function withHole(array: unknown[], index: number): unknown[] {
  delete array[index];
  return array;
}

/** Node 22's deepStrictEqual holds two invalid Dates for different values; those have a test of their own. */
function comparable(value: unknown): boolean {
  return !inspect(value, { depth: null }).includes("Invalid Date");
}

/** A value of each kind that travels as exactly what it is. */
const exact: [what: string, value: unknown][] = [
  ["null", null],
  ["undefined", undefined],
  ["booleans", [true, false]],
  [
    "integers of every width",
    [0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -24, -25, -(2 ** 32), -(2 ** 32) - 1],
  ],
  [
    "doubles",
    [0.1, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 1.7976931348623157e308, 1e21],
  ],
  ["bigints", [0n, 5n, -1n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), -(2n ** 64n) - 1n, 3n ** 1000n, -(3n ** 1000n)]],
  [
    "texts",
    ["", "a", "é".repeat(11), "a".repeat(23), "a".repeat(24), "日本語", "🎉".repeat(5000), "x".repeat(100_000), "\0"],
  ],
  ["lone surrogates", ["\ud800", "\udc00\ud800", `${"a".repeat(100)}\ud83d`, { "\udfff": "é\ud800🎉" }]],
  ["nested", { a: [{ b: [[], {}, [null]] }], "": { "with space": 1 } }],
  ["dates", [new Date(0), new Date(1.5e12 + 1), new Date(-1), new Date(8.64e15), new Date(4.4e15 + 123)]],
  [
    "maps",
    new Map<unknown, unknown>([
      ["a", 1],
      [{ k: 1 }, new Map()],
      [Number.NaN, [0]],
      [1n, undefined],
    ]),
  ],
  ["sets", new Set([1, "1", new Set([{}])])],
  ["regular expressions", [/a(b)?\/[^\n]/giu, /(?:)/]],
  [
    "typed arrays",
    [
      Uint8Array.of(1),
      Uint8ClampedArray.of(300),
      Int8Array.of(-1),
      Uint16Array.of(1, 65535),
      Int16Array.of(-2),
      Uint32Array.of(4e9),
      Int32Array.of(-4),
      Float32Array.of(0.5, Number.NaN),
      Float64Array.of(-0, 1e300),
      BigInt64Array.of(-5n),
      BigUint64Array.of(2n ** 63n),
      new Float64Array(0),
    ],
  ],
  ["part of a typed array", new Float64Array([1, 2, 3, 4]).subarray(1, 3)],
  ["buffers", [Buffer.from("abc"), Buffer.alloc(0), Buffer.alloc(100_000, 7)]],
  ["ArrayBuffer and DataView", [Uint8Array.of(1, 2).buffer, new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)]],
  ["holes", [withHole([1, 2, 3], 1), withHole([1, 2], 1), withHole([undefined, 1], 1), new Array(70)]],
  ["boxed", [Object(1), Object("text"), Object(false), Object(3n)]],
  ["awkward keys", JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3,"1":4,"length":5}')],
  [
    "an object as large as needs more than one buffer",
    Array.from({ length: 20_000 }, (_, i) => ({ i, name: `n${i}` })),
  ],
];

test.each(exact)("%s come back exactly", (_, value) => {
  assert.deepStrictEqual(roundTrip(value), value);
});

describe("what comes back", () => {
  test("keeps which arrays are Buffers and which are Uint8Arrays", () => {
    const back = roundTrip([Buffer.from([1]), Uint8Array.of(1)]) as object[];
    expect(back.map((value) => value.constructor.name)).toEqual(["Buffer", "Uint8Array"]);
  });

  test("of an invalid date is an invalid date", () => {
    const back = roundTrip(new Date(Number.NaN));
    expect(back).toBeInstanceOf(Date);
    expect((back as Date).getTime()).toBeNaN();
  });

  test("does not share memory with the message, nor show it in `.buffer`", () => {
    const message = encodeResult([Float64Array.of(1, 2), Uint8Array.of(3)]);
    const [doubles, bytes] = decodeValue(message) as [Float64Array, Uint8Array];
    message.fill(0);
    expect([doubles.buffer.byteLength, bytes.buffer.byteLength]).toEqual([16, 1]);
    expect([...doubles, ...bytes]).toEqual([1, 2, 3]);
  });

  test("is decoded from any offset in a larger buffer", () => {
    const message = encodeResult({ a: Float64Array.of(1.5), b: 0.25 });
    for (let offset = 0; offset < 9; offset++) {
      const larger = new Uint8Array(message.length + 20).fill(0xff);
      larger.set(message, offset);
      assert.deepStrictEqual(decodeValue(larger.subarray(offset, offset + message.length)), {
        a: Float64Array.of(1.5),
        b: 0.25,
      });
    }
  });

  test("has the named properties of arrays, short and long", () => {
    const match = /(?<word>b)/.exec("abc") as RegExpExecArray;
    assert.deepStrictEqual({ ...(roundTrip(match) as object) }, { ...match, groups: { word: "b" } });
    const long = Object.assign(
      Array.from({ length: 1000 }, (_, i) => i),
      { unit: "kg" },
    );
    assert.deepStrictEqual(roundTrip(long), long);
  });

  test("refers to itself where it did: cycles through every container", () => {
    const object: Record<string, unknown> = {};
    const array: unknown[] = [object];
    const map = new Map<unknown, unknown>([[array, object]]);
    const set = new Set<unknown>([map]);
    const sparse: unknown[] = [];
    sparse[3] = set;
    const error = new Error("round", { cause: sparse });
    Object.assign(object, { array, set, error, self: object });
    map.set(map, set);
    set.add(set);

    const back = roundTrip(object) as typeof object;
    const backSet = back.set as Set<unknown>;
    const backMap = [...backSet][0] as Map<unknown, unknown>;
    expect(back.self).toBe(back);
    expect((back.array as unknown[])[0]).toBe(back);
    expect(backMap.get(back.array)).toBe(back);
    expect(backMap.get(backMap)).toBe(backSet);
    expect(backSet.has(backSet)).toBe(true);
    expect(((back.error as Error).cause as unknown[])[3]).toBe(backSet);
  });

  test("shares what was shared, of every kind, also between arguments", () => {
    const shared = [
      {},
      [],
      new Date(5),
      /x/,
      Uint8Array.of(1),
      Buffer.of(2),
      new Error("e"),
      Object("boxed"),
      new Date(4.4e15 + 123),
    ];
    const [first, second] = decodeValue(encodeArguments([shared, { again: [...shared] }])) as [
      unknown[],
      { again: unknown[] },
    ];
    shared.forEach((_, i) => {
      expect(first[i]).toBe(second.again[i]);
    });
    expect(new Set(first).size).toBe(shared.length);
  });

  test("does so for a hundred thousand shared objects", () => {
    const objects = Array.from({ length: 100_000 }, (_, i) => ({ i }));
    const back = roundTrip([objects, objects.toReversed()]) as { i: number }[][];
    expect(back[0]?.every((object, i) => object === back[1]?.[99_999 - i])).toBe(true);
  });

  test("of an instance of a class with plain data is a plain object", () => {
    assert.deepStrictEqual(roundTrip(new Plain()), { x: 1, y: [2] });
    assert.deepStrictEqual(roundTrip(Object.assign(Object.create(null), { a: 1 })), { a: 1 });
  });

  test("of a getter is what it returned", () => {
    assert.deepStrictEqual(
      roundTrip({
        get a() {
          return 5;
        },
      }),
      { a: 5 },
    );
  });

  test("can be as deep as the limit", () => {
    let deep: unknown = "end";
    for (let i = 0; i < MAX_DEPTH; i++) deep = i % 2 ? [deep] : { deep };
    assert.deepStrictEqual(roundTrip(deep), deep);
    expect(() => encodeResult([deep])).toThrow(`nested more than ${MAX_DEPTH} deep`);
  });

  test("is the same for a value that was read by a getter of another", () => {
    const inner = encodeValue({ a: "x".repeat(30_000) }, "inner");
    const outer = {
      before: "b".repeat(10_000),
      get inner() {
        return encodeValue({ a: "x".repeat(30_000) }, "inner");
      },
      after: 1,
    };
    assert.deepStrictEqual(roundTrip(outer), { before: outer.before, inner: Buffer.from(inner), after: 1 });
  });
});

describe("any value", () => {
  const anything = fc
    .anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withUnicodeString: true,
      withObjectString: true,
      withNullPrototype: false,
      withBoxedValues: true,
    })
    .filter(comparable);
  const anyString = fc.string({
    unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 80,
  });

  test("comes back exactly", () => {
    fc.assert(
      fc.property(anything, (value) => assert.deepStrictEqual(roundTrip(value), value)),
      { numRuns: 1500 },
    );
  });

  test("text comes back exactly, also where it is no Unicode", () => {
    fc.assert(
      fc.property(anyString, (value) => {
        expect(roundTrip(value)).toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  test("date comes back exactly", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => assert.deepStrictEqual(roundTrip(date), date)),
      { numRuns: 2000 },
    );
  });

  test("has JSON text exactly if JSON gives it back", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue({ noUnicodeString: false }), anything), (value) => {
        const json = jsonOf(encodeResult(value));
        if (json !== undefined) assert.deepStrictEqual(JSON.parse(json), value);
        else assert.throws(() => assert.deepStrictEqual(JSON.parse(JSON.stringify(value) ?? ""), value));
      }),
      { numRuns: 1500 },
    );
  });

  test("of JSON gives the same bytes after a way through JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const bytes = encodeResult(value);
        const json = jsonOf(bytes);
        if (json !== undefined) expect(Buffer.compare(encodeResult(JSON.parse(json)), bytes)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
});

test("a value that occurs twice has no JSON text", () => {
  const twice = {};
  expect(jsonOf(encodeResult([twice, twice]))).toBeUndefined();
  expect(jsonOf(encodeResult([{}, {}]))).toBe("[{},{}]");
});
