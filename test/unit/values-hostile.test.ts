import { Encoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../core/errors.ts";
import { decodeError, decodeValue, encodeError, encodeResult, jsonOf } from "../../core/values/index.ts";

/** One message with everything in it. */
const shared = { again: true };
const everything = encodeResult({
  numbers: [1, 1000, 70_000, -5, 0.5, 5n, 2n ** 80n, -(2n ** 80n)],
  texts: ["a", "é".repeat(300), "\ud800"],
  map: new Map([[shared, new Set([shared])]]),
  sparse: Object.assign([1], { length: 3 }),
  binary: [Buffer.from("abc"), Float64Array.of(1), new ArrayBuffer(3), new DataView(new ArrayBuffer(2))],
  others: [new Date(), new Date(4.4e15 + 123), /x/g, Object(5), undefined, null, true],
  error: new TypeError("x", { cause: new AggregateError([Object.assign(new Error("y"), { code: 5 })]) }),
});

/** A value, or a DecodeError; and nothing has changed that all objects share. */
function harmless(bytes: Uint8Array): "value" | "error" {
  let outcome: "value" | "error" = "value";
  for (const decode of [decodeValue, decodeError, jsonOf]) {
    try {
      decode(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      if (decode === decodeValue) outcome = "error";
    }
  }
  if (Object.keys(Object.prototype).length || "polluted" in {}) throw new Error("a prototype was changed");
  return outcome;
}

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");
const utf8 = (text: string): string => Buffer.from(text).toString("hex");

test("a message cut at any byte, or with bytes after it, is refused", () => {
  for (let length = 0; length < everything.length; length++) {
    expect(harmless(everything.subarray(0, length)), `${length} bytes`).toBe("error");
  }
  expect(harmless(Buffer.concat([everything, Buffer.of(0)]))).toBe("error");
  expect(harmless(everything)).toBe("value");
});

test("a message with any byte changed is a value or refused", () => {
  const outcomes = { value: 0, error: 0 };
  for (let at = 0; at < everything.length; at++) {
    for (const change of [0x01, 0x20, 0x80, 0xff]) {
      const bytes = Buffer.from(everything);
      bytes[at] = (bytes[at] as number) ^ change;
      outcomes[harmless(bytes)]++;
    }
  }
  expect(outcomes.error).toBeGreaterThan(100);
});

test("random bytes are a value or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void harmless(bytes)),
    { numRuns: 20_000 },
  );
});

test("random bytes made of the parts of real messages are a value or refused", () => {
  const part = fc.constantFrom(
    "d81c",
    "d81d",
    "d8 1b 83",
    "d90102",
    "d90103",
    "80",
    "81",
    "82",
    "a1",
    "61 61",
    "d90111 41",
    "00",
    "01",
    "f6",
    "d81b 84 65 4572726f72",
    "6a 70726f70657274696573",
    "69 5f5f70726f746f5f5f",
    "d81b 83 65 4172726179",
    "c1",
    "fb 7ff8000000000000",
    "d856 48 0000000000000000",
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => void harmless(hex(parts.join("")))),
    { numRuns: 20_000 },
  );
});

describe("each trick", () => {
  const error5 = `d81b 84 65 ${utf8("Error")} 61 61 61 62`;
  test.each<[what: string, bytes: Uint8Array, problem: string]>([
    ["nothing", new Uint8Array(), "it ends too early"],
    ["a bomb of arrays", Buffer.alloc(1_000_000, 0x81), "nested more than 1000 deep"],
    [
      "a bomb of objects",
      Buffer.concat(Array.from({ length: 100_000 }, () => hex("a161 61"))),
      "nested more than 1000 deep",
    ],
    ["a bomb of tags", Buffer.concat(Array.from({ length: 100_000 }, () => hex("d81c"))), "marked as shared twice"],
    [
      "a bomb of sets",
      Buffer.concat(Array.from({ length: 100_000 }, () => hex("d9010281"))),
      "nested more than 1000 deep",
    ],
    [
      "a bomb of errors",
      Buffer.concat(Array.from({ length: 5000 }, () => hex(`${error5} a1 65 ${utf8("cause")}`))),
      "nested more than 1000 deep",
    ],
    ["an array of 4 billion", hex("9a ffffffff 00"), "4294967295 more items or bytes are announced, 1 bytes are there"],
    ["an array of 2^64", hex("9b ffffffffffffffff 00"), "are announced"],
    ["an object of 2^32", hex("ba ffffffff 00"), "are announced"],
    ["a text of 4 GB", hex("7a ffffffff 61"), "are announced"],
    ["bytes of 2^63", hex("5b 8000000000000000 61"), "are announced"],
    ["a typed array that ends in an element", hex("d856 43 010203"), "a typed array ends within an element"],
    ["an indefinite array", hex("9f 01 ff"), "indefinite lengths are not used"],
    ["an indefinite text", hex("7f 61 61 ff"), "indefinite lengths are not used"],
    ["a reserved head", hex("1c"), "the additional information 28 is reserved"],
    ["an unknown simple value", hex("f8 20"), "the simple value 24 is not used"],
    ["an unknown tag", hex("d9 dffe 80"), "the tag 57342 is not used"],
    ["an unknown type", hex(`d81b 82 68 ${utf8("Function")} 61 31`), 'the type "Function" is not used'],
    ["a type that all objects have", hex(`d81b 81 6b ${utf8("constructor")}`), 'the type "constructor" is not used'],
    ["a type with items too many", hex(`d81b 83 64 ${utf8("Date")} 00 00`), "a Date takes 1 items, 2 are announced"],
    ["a number as key", hex("a1 01 02"), "the key of a property must be a text"],
    ["a text that is not UTF-8", hex("62 fffe"), "a text is not UTF-8"],
    ["an overlong text", hex("62 c080"), "a text is not UTF-8"],
    ["a surrogate in a text", hex("63 eda080"), "a text is not UTF-8"],
    ["a long text that is not UTF-8", Buffer.concat([hex("7864"), Buffer.alloc(100, 0xc0)]), "a text is not UTF-8"],
    ["an overlong WTF-8 text", hex("d90111 42 c080"), "a text is not WTF-8"],
    ["a reference to nothing", hex("d81d 00"), "a reference to nothing"],
    ["a reference to what is not yet there", hex("d81c d90102 81 d81d 01"), "a reference to nothing"],
    ["a shared number", hex("d81c 05"), "only objects can be shared"],
    [
      "a reference within a boxed value to itself",
      hex(`d81c d81b 82 66 ${utf8("Object")} d81d 00`),
      "a value that is not there yet",
    ],
    ["a boxed object", hex(`d81b 82 66 ${utf8("Object")} 80`), "a primitive value was expected"],
    ["a broken regular expression", hex(`d81b 83 66 ${utf8("RegExp")} 61 28 60`), "Invalid regular expression"],
    ["an error with another part", hex(`${error5} a1 61 61 00`), "an error has no part"],
    ["an error with a stack that is no text", hex(`${error5} a1 65 ${utf8("stack")} 00`), "a stack must be a text"],
    [
      "an error with a message among its properties",
      hex(`${error5} a1 6a ${utf8("properties")} a1 67 ${utf8("message")} 00`),
      "message is no property of its own",
    ],
    [
      "an array with items beyond its length",
      hex(`d81b 83 65 ${utf8("Array")} 01 a1 61 35 00`),
      "an array has items beyond its length",
    ],
    ["an array with a length that is none", hex(`d81b 83 65 ${utf8("Array")} 20 a0`), "Invalid array length"],
    [
      "an array that sets its length",
      hex(`d81b 83 65 ${utf8("Array")} 01 a1 66 ${utf8("length")} 61 78`),
      "Invalid array length",
    ],
    ["a date that is no number", hex("c1 60"), "a date must be a number"],
  ])("%s is refused", (_, bytes, problem) => {
    expect(() => decodeValue(bytes)).toThrow(problem);
    expect(harmless(bytes)).toBe("error");
  });

  test("__proto__ and constructor become own properties and touch nothing else", () => {
    for (const key of ["__proto__", "constructor", "prototype"]) {
      const bytes = encodeResult(JSON.parse(`{"${key}":{"polluted":true}}`));
      expect(Object.entries(decodeValue(bytes) as object)).toEqual([[key, { polluted: true }]]);
      expect(harmless(bytes)).toBe("value");
    }
    const error = hex(`${error5} a1 6a ${utf8("properties")} a1 69 ${utf8("__proto__")} a1 68 ${utf8("polluted")} f5`);
    expect(Object.getPrototypeOf(decodeError(error))).toBe(Error.prototype);
    const sparse = hex(`d81b 83 65 ${utf8("Array")} 00 a1 69 ${utf8("__proto__")} a1 68 ${utf8("polluted")} f5`);
    expect(Object.getPrototypeOf(decodeValue(sparse))).toBe(Array.prototype);
    expect(harmless(sparse)).toBe("value");
  });

  test("a thousand arrays that claim four billion items each take no memory for them", () => {
    const one = hex(`d81b 83 65 ${utf8("Array")} 1a 01c9c380 a0`);
    const before = process.memoryUsage().rss;
    const arrays = decodeValue(
      Buffer.concat([hex("9903e8"), ...Array.from({ length: 1000 }, () => one)]),
    ) as unknown[][];
    expect(arrays.every((array) => array.length === 30_000_000)).toBe(true);
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  test("a refusal says little about much", () => {
    const pattern = "(".repeat(65_535);
    const bytes = Buffer.concat([hex(`d81b 83 66 ${utf8("RegExp")} 79 ffff`), Buffer.from(pattern), hex("60")]);
    expect(() => decodeValue(bytes)).toThrow(/^not a value humq encoded: it cannot be built here .{0,250}$/);
  });

  test("a bigint of a megabyte is read at once", () => {
    const bytes = Buffer.concat([hex("c25a 00100000"), Buffer.alloc(1 << 20, 0xff)]);
    expect((decodeValue(bytes) as bigint) === 2n ** 8388608n - 1n).toBe(true);
  });

  test("parts that double at every level stay as small as the message", () => {
    let doubled: unknown = {};
    for (let i = 0; i < 200; i++) doubled = [doubled, doubled];
    const bytes = encodeResult(doubled);
    expect(bytes.length).toBeLessThan(3000);
    expect(jsonOf(bytes)).toBeUndefined();
    expect(harmless(bytes)).toBe("value");
  });
});

describe("beside another implementation (cbor-x)", () => {
  // What both have a form for; cbor-x does not keep -0, lone surrogates, or `__proto__` keys.
  const common = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.integer(),
      fc.double({ noNaN: true }).filter((n) => !Object.is(n, -0)),
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.constantFrom(null, undefined),
      fc.uint8Array(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
      fc.array(tie("value")),
      fc.dictionary(
        fc.string().filter((key) => key !== "__proto__"),
        tie("value"),
      ),
    ),
  })).value;
  const other = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: true, variableMapSize: true });

  test("both read what humq writes, and humq reads what cbor-x writes", () => {
    fc.assert(
      fc.property(common, (value) => {
        expect(other.decode(encodeResult(value))).toEqual(decodeValue(encodeResult(value)));
        expect(decodeValue(other.encode(value))).toEqual(decodeValue(encodeResult(value)));
      }),
      { numRuns: 500 },
    );
  });
});

test("an error's bytes with any byte changed are an error or refused", () => {
  const bytes = encodeError(Object.assign(new TypeError("x", { cause: [1] }), { code: "E" }));
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 0x61;
    harmless(changed);
  }
});
