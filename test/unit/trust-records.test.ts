import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError } from "../../core/errors.ts";
import { packArguments, unpackArguments } from "../../core/trust/arguments.ts";
import { type ClosingRecord, closingRecord, type Manifest, manifestRecord } from "../../core/trust/manifest.ts";
import { decodeOutcomeMessage, encodeOutcomeMessage, type OutcomeMessage } from "../../core/trust/outcome.ts";
import { bytes, fixed, list, recordType, struct, text, u32, u64 } from "../../core/trust/record.ts";
import { alterations, closing, counting, manifest, owner } from "../support/trust.ts";

interface Everything {
  small: number;
  large: number;
  blob: Uint8Array;
  key: Uint8Array;
  name: string;
  names: string[];
  pairs: { left: number; right: string }[];
}

const everything = recordType<Everything>("humq/test/1", {
  small: u32,
  large: u64,
  blob: bytes,
  key: fixed(4),
  name: text,
  names: list(text),
  pairs: list(struct<{ left: number; right: string }>({ left: u32, right: text })),
});

const sampleOfEverything: Everything = {
  small: 0xffff_ffff,
  large: Number.MAX_SAFE_INTEGER,
  blob: counting(1, 9),
  key: counting(2, 4),
  name: "Zoë \u{1f600} \ufeff \0",
  names: ["", "a", "b".repeat(300)],
  pairs: [
    { left: 0, right: "zero" },
    { left: 1, right: "" },
  ],
};

const outcome: OutcomeMessage = { generation: 2, callHash: counting(3), partsId: "7-1f3c", sealed: counting(4, 70) };

interface Codec {
  name: string;
  sample: unknown;
  encode(value: unknown): Uint8Array;
  decode(encoded: Uint8Array): unknown;
}

function codec<T>(name: string, sample: T, encode: (value: T) => Uint8Array, decode: (bytes: Uint8Array) => T): Codec {
  return { name, sample, encode: encode as (value: unknown) => Uint8Array, decode };
}

const codecs: Codec[] = [
  codec("a record with every kind of field", sampleOfEverything, everything.encode, everything.decode),
  codec<Manifest>("a manifest", manifest, manifestRecord.encode, manifestRecord.decode),
  codec<ClosingRecord>("a closing record", closing, closingRecord.encode, closingRecord.decode),
  codec("an outcome message", outcome, encodeOutcomeMessage, decodeOutcomeMessage),
  codec("argument lists", [counting(1, 0), counting(2, 1), counting(3, 200)], packArguments, unpackArguments),
];

/** Decoded values hold Buffers where the sample holds Uint8Arrays; what counts is what is in them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** Bytes are refused in an orderly way, or they are the one encoding of what they decode to. */
function expectCanonical(name: string, { encode, decode }: Codec, encoded: Uint8Array): "refused" | "decoded" {
  let value: unknown;
  try {
    value = decode(encoded);
  } catch (error) {
    expect(error, name).toBeInstanceOf(DecodeError);
    return "refused";
  }
  expect(Buffer.compare(encode(value), encoded), `${name}: a second encoding of the same value`).toBe(0);
  return "decoded";
}

describe.each(codecs)("$name", (each) => {
  const { sample, encode, decode } = each;
  const encoded = encode(sample);

  test("comes back as it was", () => {
    expect(plain(decode(encoded))).toEqual(plain(sample));
    expect(Buffer.compare(encode(decode(encoded)), encoded)).toBe(0);
  });

  test("does not depend on where in a larger buffer its bytes lie", () => {
    const larger = Buffer.concat([counting(0, 13), encoded, counting(0, 7)]);
    expect(plain(decode(larger.subarray(13, 13 + encoded.length)))).toEqual(plain(sample));
  });

  test("cut anywhere or with bytes at its end is refused", () => {
    for (const altered of alterations(encoded)) {
      if (altered.bytes.length !== encoded.length) {
        expect(expectCanonical(altered.how, each, altered.bytes), altered.how).toBe("refused");
      }
    }
  });

  test("with any byte changed is refused, or is the one encoding of another value", () => {
    for (const altered of alterations(encoded)) {
      if (altered.bytes.length !== encoded.length) continue;
      if (expectCanonical(altered.how, each, altered.bytes) === "decoded") {
        expect(plain(decode(altered.bytes)), altered.how).not.toEqual(plain(sample));
      }
    }
  });

  test("random bytes, alone and after a proper beginning, never do more than throw a DecodeError", () => {
    const any = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(any, fc.nat(encoded.length), (random, kept) => {
        expectCanonical("random", each, random);
        expectCanonical("spliced", each, Buffer.concat([encoded.subarray(0, kept), random]));
        expectCanonical(
          "overwritten",
          each,
          Buffer.concat([encoded.subarray(0, kept), random, encoded.subarray(kept)]),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe("records of any content", () => {
  const wellFormed = fc.string({ unit: "binary", maxLength: 40 });
  const small = fc.nat(0xffff_ffff);
  const arbitrary: fc.Arbitrary<Everything> = fc.record({
    small,
    large: fc.nat(Number.MAX_SAFE_INTEGER),
    blob: fc.uint8Array({ maxLength: 1200 }),
    key: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    name: wellFormed,
    names: fc.array(wellFormed, { maxLength: 5 }),
    pairs: fc.array(fc.record({ left: small, right: wellFormed }), { maxLength: 5 }),
  });

  test("come back as they were", () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        expect(plain(everything.decode(everything.encode(value)))).toEqual(plain(value));
      }),
    );
  });

  test("two different values never share bytes, even where text moves from one field to the next", () => {
    const moved = (name: string, names: string[]) => everything.encode({ ...sampleOfEverything, name, names });
    expect(moved("ab", ["c"])).not.toEqual(moved("a", ["bc"]));
    expect(moved("a", ["b", "c"])).not.toEqual(moved("a", ["b\0c"]));
    fc.assert(
      fc.property(arbitrary, arbitrary, (a, b) => {
        const same = Buffer.compare(everything.encode(a), everything.encode(b)) === 0;
        expect(same).toBe(JSON.stringify(plain(a)) === JSON.stringify(plain(b)));
      }),
    );
  });
});

describe("what a record refuses to decode", () => {
  const message = (encoded: Uint8Array): string => {
    try {
      everything.decode(encoded);
    } catch (error) {
      if (error instanceof DecodeError) return error.message;
      throw error;
    }
    return "decoded";
  };

  test("a record of another kind, by name", () => {
    expect(() => manifestRecord.decode(closingRecord.encode(closing))).toThrow(
      new DecodeError('expected a record of kind humq/manifest/4, got "humq/close/4"'),
    );
  });

  test("another kind whose name is long or odd is shown short and escaped", () => {
    const odd = recordType<{ a: number }>(`\n"${"x".repeat(1000)}`, { a: u32 }).encode({ a: 1 });
    expect(message(odd)).toBe(`expected a record of kind humq/test/1, got "\\n\\"${"x".repeat(58)}"`);
  });

  test("an empty record, one that ends early, one that goes on", () => {
    const encoded = everything.encode(sampleOfEverything);
    expect(message(new Uint8Array())).toBe("a record ends before its last field");
    expect(message(encoded.subarray(0, -1))).toBe("a record ends before its last field");
    expect(message(Buffer.concat([encoded, counting(0, 1)]))).toBe("a record has bytes after its last field");
  });

  const lengthAfter = (domain: string, length: number): Uint8Array => {
    const head = Buffer.alloc(8 + domain.length);
    head.writeUInt32BE(domain.length, 0);
    head.write(domain, 4);
    head.writeUInt32BE(length, 4 + domain.length);
    return head;
  };

  test.each([0xffff_ffff, 0x7fff_ffff, 1])("a length or count of %d that nothing follows", (length) => {
    for (const field of [bytes, text, list(text), list(bytes), list(fixed(32))]) {
      const type = recordType<{ a: unknown }>("humq/lie/1", { a: field as typeof bytes as never });
      expect(() => type.decode(lengthAfter("humq/lie/1", length))).toThrow(
        new DecodeError("a record ends before its last field"),
      );
    }
  });

  test.each([
    ["an overlong NUL", [0xc0, 0x80]],
    ["a lone surrogate", [0xed, 0xa0, 0x80]],
    ["a lone continuation byte", [0x80]],
    ["a code point above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ])("text that is not UTF-8: %s", (_, raw) => {
    const type = recordType<{ a: Uint8Array }>("humq/text/1", { a: bytes });
    const asText = recordType<{ a: string }>("humq/text/1", { a: text });
    expect(() => asText.decode(type.encode({ a: Uint8Array.from(raw) }))).toThrow(
      new DecodeError("a record holds text that is not UTF-8"),
    );
  });

  test("a number above 2^53 - 1", () => {
    const type = recordType<{ a: number }>("humq/number/1", { a: u64 });
    const encoded = Uint8Array.from(type.encode({ a: Number.MAX_SAFE_INTEGER }));
    encoded[encoded.length - 7]! += 1;
    expect(() => type.decode(encoded)).toThrow(new DecodeError("a record holds a number above 2^53 - 1"));
  });

  test("more than 64 MiB, before any of it is read", () => {
    expect(message(new Uint8Array(64 * 2 ** 20 + 1))).toBe("humq/test/1: 67108865 bytes is too large");
  });

  test("an outcome that names its parts like a path or a wildcard", () => {
    for (const partsId of ["a.b", "*", ">", "a/b", " ", "é", "x".repeat(81), "a\n"]) {
      expect(() => decodeOutcomeMessage(encodeOutcomeMessage({ ...outcome, partsId })), partsId).toThrow(
        new DecodeError("an outcome names its parts in no proper way"),
      );
    }
  });
});

describe("what a record refuses to encode", () => {
  const encode = (changes: Partial<Everything>) => () => everything.encode({ ...sampleOfEverything, ...changes });

  test.each([-1, 1.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])("%d as a 32-bit integer", (small) => {
    expect(encode({ small })).toThrow(new RangeError(`not a u32: ${small}`));
  });

  test.each([-1, 1.5, 2 ** 53, Number.NaN])("%d as a 64-bit integer", (large) => {
    expect(encode({ large })).toThrow(new RangeError(`not an unsigned integer: ${large}`));
  });

  test("a key of another length", () => {
    expect(encode({ key: counting(0, 5) })).toThrow(new RangeError("expected 4 bytes, got 5"));
    expect(() => manifestRecord.encode({ ...manifest, rootKey: owner.rootKey.subarray(1) })).toThrow(
      new RangeError("expected 32 bytes, got 31"),
    );
  });

  test("text with a lone surrogate", () => {
    expect(encode({ name: "a\ud800b" })).toThrow(new RangeError("text with a lone surrogate has no UTF-8 form"));
  });
});
