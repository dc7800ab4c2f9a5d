import fc from "fast-check";
import { expect, test } from "vitest";
import { DecodeError } from "../../core/errors.ts";
import { decodeOutcome, encodeOutcome } from "../../core/outcome.ts";

test("an outcome comes back with all of its bookkeeping", () => {
  const value = new Uint8Array([1, 2, 3]);
  const meta = {
    startedMs: 1_700_000_000_000,
    durationMs: 12.345,
    peakMemoryBytes: 2 ** 40,
    worker: "w-1",
    state: "killed",
  } as const;
  const decoded = decodeOutcome(encodeOutcome(meta, value));
  expect(decoded.meta).toEqual(meta);
  expect(Buffer.from(decoded.value)).toEqual(Buffer.from(value));
  expect(decoded.spilled).toBeUndefined();
});

test("what was not measured is not there, and a spilled value says where it is", () => {
  const spilled = { parts: 3, bytes: 1_500_000, hash: Buffer.alloc(32, 7) };
  const decoded = decodeOutcome(encodeOutcome({ startedMs: 1, durationMs: 0 }, spilled));
  expect(decoded.meta).toEqual({ startedMs: 1, durationMs: 0 });
  expect(decoded.value).toHaveLength(0);
  expect(decoded.spilled).toEqual(spilled);
});

test("any other bytes are a DecodeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => decodeOutcome(bytes)).toThrow(DecodeError);
    }),
  );
});
