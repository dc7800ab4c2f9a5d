/** Packs: the results of a chunk in one sealed message, and what does not pass for one. */
import { describe, expect, test } from "vitest";
import { subjectOf } from "../../core/broker/names.ts";
import { DecodeError, RefusedError } from "../../core/errors.ts";
import { decodePack, PackBuilder, withoutResults } from "../../core/pack.ts";
import type { OutcomeAccess } from "../../core/tag/outcome.ts";
import { openPack, openPacked, packContext } from "../../core/tag/pack.ts";
import { encodeOutcomeMessage } from "../../core/trust/outcome.ts";
import { seal } from "../../core/trust/seal.ts";
import { decodeValue, encodeError, encodeResult } from "../../core/values/index.ts";
import { alice, counting, owner, tagKey } from "../support/trust.ts";

const HASH = counting(21);
const OTHER_HASH = counting(22);
const COUNT = 20;
const access: OutcomeAccess = {
  u: "U",
  manifest: { ...owner, datacenters: ["local"] },
  signingKey: alice.signer.publicKey,
  tagKey,
  reader: { last: async () => null },
};

function builder(count = COUNT): PackBuilder {
  const built = new PackBuilder();
  for (let i = 0; i < count; i++) {
    const peak = i % 2 === 0 ? { peakMemoryBytes: 1024 * (i + 1) } : {};
    built.add({ startedMs: 1_700_000_000_000 + i, durationMs: 0.125 * i, ...peak }, encodeResult({ i }));
  }
  return built;
}
const encoded = (count = COUNT) => builder(count).encode({ worker: "w1", attempts: 1, losses: 0 });

function stored(first: number, plaintext: Uint8Array, { generation = 0, callHash = HASH, count = COUNT } = {}) {
  const sealed = seal(tagKey, packContext(access, { first, count }, { generation, callHash }), plaintext);
  return encodeOutcomeMessage({ generation, callHash, partsId: "", sealed });
}
const place = (first: number, count = COUNT, datacenter = "local") =>
  subjectOf.pack("U", datacenter, owner.tag, { first, count });
const bindings = (hash: Uint8Array | undefined = HASH, generation = 0) => ({
  hashOf: () => hash,
  generationOf: () => generation,
});

describe("a pack", () => {
  test("keeps each call's result and what was noted of its run", () => {
    expect(decodePack(encoded(), COUNT)).toEqual(
      Array.from({ length: COUNT }, (_, i) => ({
        meta: {
          startedMs: 1_700_000_000_000 + i,
          durationMs: 0.125 * i,
          ...(i % 2 === 0 && { peakMemoryBytes: 1024 * (i + 1) }),
          worker: "w1",
          attempts: 1,
        },
        value: Buffer.from(encodeResult({ i })),
      })),
    );
  });

  test("opens as the outcomes of its calls", async () => {
    const outcomes = await openPacked(access, place(40), stored(40, encoded()), bindings());
    expect(outcomes.map(({ index, state }) => [index, state])).toEqual(
      Array.from({ length: COUNT }, (_, i) => [40 + i, "succeeded"]),
    );
    expect(decodeValue(outcomes[3]!.value!)).toEqual({ i: 3 });
    expect(outcomes[3]).toMatchObject({ datacenter: "local", worker: "w1", attempts: 1, losses: 0, generation: 0 });
  });

  test("says what was deleted of it", () => {
    const error = encodeError(new Error("deleted"));
    const once = withoutResults(encoded(), COUNT, [0, 9], { state: "cancelled", error });
    const calls = decodePack(withoutResults(once, COUNT, [19], { state: "cancelled", error }), COUNT);
    for (const [i, { meta, value }] of calls.entries()) {
      const isDeleted = [0, 9, 19].includes(i);
      expect(meta.state).toBe(isDeleted ? "cancelled" : undefined);
      expect(Buffer.from(value)).toEqual(Buffer.from(isDeleted ? error : encodeResult({ i })));
    }
  });

  test("leaves out calls that were retried since", async () => {
    const some = { hashOf: (index: number) => (index === 43 ? OTHER_HASH : HASH), generationOf: () => 0 };
    const outcomes = await openPacked(access, place(40), stored(40, encoded()), some);
    expect(outcomes.map(({ index }) => index)).not.toContain(43);
    expect(outcomes.length).toBe(COUNT - 1);
    // To whom the calls are not shown the generation tells.
    const later = { hashOf: () => undefined, generationOf: (index: number) => (index === 43 ? 1 : 0) };
    expect((await openPacked(access, place(40), stored(40, encoded()), later)).length).toBe(COUNT - 1);
  });
});

describe("what is no pack of these calls", () => {
  const altered = (bytes: Uint8Array, at: number) => {
    const copy = Uint8Array.from(bytes);
    copy[at < 0 ? copy.length + at : at]! ^= 1;
    return copy;
  };
  test.each<[string, () => [string, Uint8Array]]>([
    ["another chunk's", () => [place(60), stored(40, encoded())]],
    ["of other calls by its place", () => [place(40, COUNT - 1), stored(40, encoded())]],
    ["of a longer chunk by its place", () => [place(40, COUNT + 1), stored(40, encoded())]],
    ["with a bit of the ciphertext changed", () => [place(40), altered(stored(40, encoded()), -30)]],
    ["with its authentication changed", () => [place(40), altered(stored(40, encoded()), -1)]],
    ["of another message by what it says", () => [place(40), relabelled({ callHash: OTHER_HASH })]],
    ["of another generation by what it says", () => [place(40), relabelled({ generation: 1 })]],
    ["of another tag", () => [place(40), sealedFor({ tag: `other_${owner.tag.slice(-36)}` })]],
    ["of another user", () => [place(40), sealedFor({ user: "UOTHER" })]],
    ["a single outcome in a pack's place", () => [place(40), sealedFor({ count: 1 })]],
    ["sealed as an error", () => [place(40), sealedFor({ kind: "error" })]],
    ["by a datacenter that the tag does not name", () => [place(40, COUNT, "other"), stored(40, encoded())]],
  ])("%s", async (_, make) => {
    await expect(openPack(access, ...make())).rejects.toThrow(RefusedError);
  });

  function relabelled(change: { callHash?: Uint8Array; generation?: number }): Uint8Array {
    const context = packContext(access, { first: 40, count: COUNT }, { generation: 0, callHash: HASH });
    const sealed = seal(tagKey, context, encoded());
    return encodeOutcomeMessage({ generation: 0, callHash: HASH, partsId: "", sealed, ...change });
  }
  function sealedFor(change: object): Uint8Array {
    const context = packContext(access, { first: 40, count: COUNT }, { generation: 0, callHash: HASH });
    return encodeOutcomeMessage({
      generation: 0,
      callHash: HASH,
      partsId: "",
      sealed: seal(tagKey, { ...context, ...change }, encoded()),
    });
  }

  test.each([COUNT - 1, COUNT + 1])("one that holds %d results", async (count) => {
    await expect(openPack(access, place(40), stored(40, encoded(count)))).rejects.toThrow(DecodeError);
  });

  test("one with parts", async () => {
    const context = packContext(access, { first: 40, count: COUNT }, { generation: 0, callHash: HASH });
    const message = { generation: 0, callHash: HASH, partsId: "40-abc", sealed: seal(tagKey, context, encoded()) };
    await expect(openPack(access, place(40), encodeOutcomeMessage(message))).rejects.toThrow(/they do not have/);
  });

  test("one of calls that were submitted otherwise, or that all run in a later generation", async () => {
    const data = stored(40, encoded());
    await expect(openPacked(access, place(40), data, bindings(OTHER_HASH))).rejects.toThrow(/answer other calls/);
    const later = { hashOf: () => undefined, generationOf: () => 1 };
    await expect(openPacked(access, place(40), data, later)).rejects.toThrow(/answer other calls/);
  });

  test("with a note in a state that no call has", () => {
    const strange = withoutResults(encoded(), COUNT, [1], { state: "splendid", error: new Uint8Array() });
    expect(() => decodePack(strange, COUNT)).toThrow(/says nothing about its calls/);
  });
});
