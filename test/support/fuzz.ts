/**
 * Random and mutated input for decoders. Each run draws a seed, says it when something fails, and takes one to replay:
 * `HUMQ_FUZZ_SEED=123 npx vitest run --config test/attacks/vitest.config.ts test/attacks/input-records.test.ts`.
 */
import fc from "fast-check";
import { HumqError } from "../../core/errors.ts";
import { SHORT } from "./short.ts";

/** Given, or drawn anew for each run. */
const seed = Number(process.env.HUMQ_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** How many inputs each property is tried with: a tenth of `long` in the short form. */
const runs = (long: number): number => (SHORT ? Math.ceil(long / 10) : long);

/** Checks a property with many inputs. Where it fails the error has seed and path, and the smallest input that fails. */
export function holds<T>(input: fc.Arbitrary<T>, check: (input: T) => void, long = 5_000): void {
  const property = fc.property(input, (one) => {
    check(one);
  });
  fc.assert(property, { numRuns: runs(long), seed });
}

/** Numbers that length fields are made of when they lie. */
const LIES = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];

type Mutation = (bytes: Buffer) => Buffer;
const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const at = (bytes: Uint8Array, where: number): number => Math.floor(where * bytes.length);

const flip = fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(
  ([where, bits]): Mutation =>
    (bytes) => {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[at(copy, where)]! ^= bits;
      return copy;
    },
);
const lie = fc.tuple(place, fc.constantFrom(...LIES)).map(
  ([where, number]): Mutation =>
    (bytes) => {
      const copy = Buffer.from(bytes);
      if (copy.length >= 4) copy.writeUInt32BE(number, Math.min(at(copy, where), copy.length - 4));
      return copy;
    },
);
const cut = fc.tuple(place, place).map(
  ([one, other]): Mutation =>
    (bytes) => {
      const [from, to] = [at(bytes, Math.min(one, other)), at(bytes, Math.max(one, other))];
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    },
);
const twice = fc.tuple(place, place).map(
  ([one, other]): Mutation =>
    (bytes) => {
      const [from, to] = [at(bytes, Math.min(one, other)), at(bytes, Math.max(one, other))];
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    },
);
const insert = fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(
  ([where, more]): Mutation =>
    (bytes) =>
      Buffer.concat([bytes.subarray(0, at(bytes, where)), more, bytes.subarray(at(bytes, where))]),
);
const end = place.map(
  (where): Mutation =>
    (bytes) =>
      bytes.subarray(0, at(bytes, where)),
);

/** Random bytes, and `valid` ones with one to four things done to them. */
export function mutated(...valid: Uint8Array[]): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(
      fc.constantFrom(...valid),
      fc.array(fc.oneof(flip, lie, cut, twice, insert, end), { minLength: 1, maxLength: 4 }),
    )
    .map(([bytes, mutations]) => mutations.reduce<Buffer>((sum, mutation) => mutation(sum), Buffer.from(bytes)));
  return fc.oneof(
    { weight: 4, arbitrary: changed },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  );
}

/** What makes trouble in texts. */
export const nastyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  // Any code unit, so lone surrogates as well.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 }).map((units) => String.fromCharCode(...units)),
  fc
    .array(
      fc.constantFrom(
        ..."ab01-_.*>%$ /\\\"'\u0000\u0007\u001b\u009b\r\n\t\u007f\u202e\u2066\u2028\ud800\udc00#@:;,=&?[]{}()",
        "..",
        "../",
        "__proto__",
        "constructor",
        "\u001b]0;owned\u0007",
        "\u001b[2J",
        "аdmin",
        "x".repeat(300),
        "C:\\",
        "/etc/passwd",
        "last",
        "1e999",
        "$KV.",
        "$JS.API",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join("")),
);

/** Whether a text may go to a terminal: no control characters but line feed and tab, nothing that turns its direction. */
export function isHarmless(text: string): boolean {
  return !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(text);
}

function isPolluted(): boolean {
  const fresh: Record<string, unknown> = {};
  return (
    Object.keys(Object.prototype).length > 0 || fresh.polluted !== undefined || Object.keys(Array.prototype).length > 0
  );
}

/**
 * Decodes: a value or a HumqError comes of it, nothing else, and nothing has changed that all objects share.
 * @returns the value, or undefined where it was refused
 */
export function valueOrRefusal<T>(decode: () => T): T | undefined {
  let value: T | undefined;
  try {
    value = decode();
  } catch (error) {
    if (!(error instanceof HumqError)) throw error;
    if (typeof error.code !== "string" || error.message.length > 100_000) throw error;
  }
  if (isPolluted()) throw new Error("a prototype was changed");
  return value;
}

/** How many bytes of memory `action` leaves or had in use at its end, beyond what there was before. */
export function growth(action: () => void): number {
  const used = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  action();
  return used() - before;
}
