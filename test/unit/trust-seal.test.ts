import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RefusedError } from "../../core/errors.ts";
import { CODE_PART_BYTES, openCode, sealCode } from "../../core/trust/code.ts";
import { openOptions, sealOptions } from "../../core/trust/options.ts";
import { open, randomNonce, SEAL_OVERHEAD, type SealContext, SealKind, seal } from "../../core/trust/seal.ts";
import { unwrapKey, wrapKey } from "../../core/trust/wrap.ts";
import {
  alice,
  alterations,
  bob,
  counting,
  datacenter,
  options,
  otherRoot,
  owner,
  root,
  sealContext,
  tag,
  tagKey,
} from "../support/trust.ts";

const plaintext = Buffer.from("the quick brown fox");

describe("a sealed text", () => {
  const sealed = seal(tagKey, sealContext, plaintext);

  test("opens under its key and context, and is 40 bytes longer", () => {
    expect(Buffer.from(open(tagKey, sealContext, sealed)).toString()).toBe("the quick brown fox");
    expect(sealed.length).toBe(plaintext.length + SEAL_OVERHEAD);
    expect(SEAL_OVERHEAD).toBe(40);
  });

  test("shows nothing of itself, and is another one each time", () => {
    const again = seal(tagKey, sealContext, plaintext);
    expect(again.subarray(0, 24)).not.toEqual(sealed.subarray(0, 24));
    expect(again.subarray(24)).not.toEqual(sealed.subarray(24));
    expect(Buffer.from(sealed).includes("quick")).toBe(false);
  });

  const others: { [Field in keyof typeof sealContext]: SealContext[Field][] } = {
    rootKey: [otherRoot.publicKey],
    user: [bob.user, `${alice.user} `, ""],
    tag: [`${tag}x`, tag.toUpperCase(), ""],
    kind: Object.values(SealKind).filter((kind) => kind !== sealContext.kind),
    first: [0, 4, 6, 5 + 2 ** 32],
    count: [0, 1, 2, 4],
    generation: [0, 2],
    callHash: [counting(8), counting(7, 31), new Uint8Array()],
    part: [0, 1, 3],
    last: [false],
  };
  const cases = Object.entries(others).flatMap(([field, values]) => values.map((value) => ({ field, value })));

  test.each(cases)("does not open where $field is $value", ({ field, value }) => {
    const context = { ...sealContext, [field]: value };
    expect(() => open(tagKey, context, sealed)).toThrow(
      new RefusedError(
        `${context.kind} of call ${context.first} in ${context.tag}: altered, or sealed for something else`,
      ),
    );
  });

  test("does not open under another key", () => {
    expect(() => open(counting(60), sealContext, sealed)).toThrow(RefusedError);
  });

  test("does not open where any byte was changed, cut or added", () => {
    for (const { how, bytes } of alterations(sealed)) {
      expect(() => open(tagKey, sealContext, bytes), how).toThrow(RefusedError);
    }
    expect(() => open(tagKey, sealContext, sealed.subarray(0, 39))).toThrow(
      new RefusedError(`result of call 5 in ${tag}: 39 bytes is too short to be sealed`),
    );
  });

  test("may be empty, or of any length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (content) => {
        expect(Buffer.compare(open(tagKey, sealContext, seal(tagKey, sealContext, content)), content)).toBe(0);
      }),
      { numRuns: 50 },
    );
    expect(open(tagKey, sealContext, seal(tagKey, sealContext, new Uint8Array())).length).toBe(0);
  });

  test("random bytes are never one", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => open(tagKey, sealContext, bytes)).toThrow(RefusedError);
      }),
    );
  });

  test("a key that is copied opens what the original sealed", () => {
    expect(open(Uint8Array.from(tagKey), sealContext, sealed).length).toBe(plaintext.length);
  });
});

test("nonces are 24 bytes that do not repeat, and are not overwritten when more are drawn", () => {
  const nonces = Array.from({ length: 2000 }, randomNonce);
  expect(new Set(nonces.map((nonce) => nonce.length))).toEqual(new Set([24]));
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString("hex"))).size).toBe(2000);
});

describe("a wrapped tag key", () => {
  const wraps = [alice, datacenter].map(({ agreement }) => wrapKey(tagKey, agreement.publicKey, owner));
  const refused = new RefusedError(`the key of ${tag}: altered, or sealed for something else`);

  test("opens for its readers, and is not there for others", () => {
    for (const reader of [alice, datacenter]) {
      expect(Buffer.compare(unwrapKey(wraps, reader.agreement, owner)!, tagKey)).toBe(0);
    }
    expect(unwrapKey(wraps, bob.agreement, owner)).toBeUndefined();
    expect(unwrapKey([], alice.agreement, owner)).toBeUndefined();
  });

  test("does not open for another to whom it was redirected", () => {
    const [forAlice] = wraps;
    const { keyId } = wrapKey(tagKey, bob.agreement.publicKey, owner);
    expect(() => unwrapKey([{ ...forAlice!, keyId }], bob.agreement, owner)).toThrow(refused);
  });

  test.each([
    ["rootKey", otherRoot.publicKey],
    ["user", bob.user],
    ["tag", `${tag}x`],
  ])("does not open where its %s is another", (field, value) => {
    const context = { ...owner, [field]: value };
    expect(() => unwrapKey(wraps, alice.agreement, context)).toThrow(
      new RefusedError(`the key of ${context.tag}: altered, or sealed for something else`),
    );
  });

  test("does not open where any byte was changed", () => {
    const [wrap] = wraps;
    for (const { how, bytes: sealed } of alterations(wrap!.sealed)) {
      expect(() => unwrapKey([{ ...wrap!, sealed }], alice.agreement, owner), how).toThrow(RefusedError);
    }
    for (const { how, bytes: ephemeralKey } of alterations(wrap!.ephemeralKey)) {
      if (ephemeralKey.length !== 32) continue;
      // RFC 7748 ignores the highest bit when it computes, but the salt holds every bit.
      expect(() => unwrapKey([{ ...wrap!, ephemeralKey }], alice.agreement, owner), how).toThrow(RefusedError);
    }
    for (const { how, bytes: keyId } of alterations(wrap!.keyId)) {
      if (keyId.length === 8) expect(unwrapKey([{ ...wrap!, keyId }], alice.agreement, owner), how).toBeUndefined();
    }
  });

  test("with an ephemeral key of small order is refused", () => {
    const wrap = { ...wraps[0]!, ephemeralKey: new Uint8Array(32) };
    expect(() => unwrapKey([wrap], alice.agreement, owner)).toThrow(
      new RefusedError("an encryption key is a point of small order: no secret can be shared with it"),
    );
  });

  test("that holds no 32 bytes is refused", () => {
    const wrap = wrapKey(counting(1, 31), alice.agreement.publicKey, owner);
    expect(() => unwrapKey([wrap], alice.agreement, owner)).toThrow(new RefusedError(`the key of ${tag} has 31 bytes`));
  });

  test("differs each time it is wrapped", () => {
    const again = wrapKey(tagKey, alice.agreement.publicKey, owner);
    expect(again.ephemeralKey).not.toEqual(wraps[0]!.ephemeralKey);
    expect(again.sealed).not.toEqual(wraps[0]!.sealed);
  });
});

describe("sealed options", () => {
  const sealed = sealOptions(tagKey, owner, options);

  test("come back as they were, with priorities below 0 too", () => {
    const opened = openOptions(tagKey, owner, sealed);
    expect({ ...opened, codeKey: Uint8Array.from(opened.codeKey) }).toEqual(options);
    for (const priority of [-(2 ** 31), -1000, -1, 0, 1000, 2 ** 31 - 1]) {
      expect(openOptions(tagKey, owner, sealOptions(tagKey, owner, { ...options, priority })).priority).toBe(priority);
    }
  });

  test("do not open for another tag, user or instance", () => {
    for (const other of [{ tag: "other" }, { user: bob.user }, { rootKey: otherRoot.publicKey }]) {
      expect(() => openOptions(tagKey, { ...owner, ...other }, sealed)).toThrow(RefusedError);
    }
  });

  test("what a submitter with the key sealed instead of options is refused, not crashed on", () => {
    const context = { ...owner, kind: SealKind.options, first: 0, count: 0, generation: 0 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (content) => {
        expect(() => openOptions(tagKey, owner, seal(tagKey, context, content))).toThrow(
          expect.objectContaining({ code: "decode" }),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe("sealed code", () => {
  const codeOwner = { rootKey: root.publicKey, user: alice.user };
  const code = Buffer.concat([Buffer.from("export const secret = 42;"), randomBytes(CODE_PART_BYTES * 2)]);
  const { reference, key, parts } = sealCode(alice.codeSecret, codeOwner, code);

  test("is the same each time, so that it is stored once", () => {
    expect(sealCode(alice.codeSecret, codeOwner, code)).toEqual({ reference, key, parts });
    expect(parts.length).toBe(3);
    expect(reference.name).toMatch(/^[0-9a-f]{64}$/);
  });

  test("has another name, key and other bytes for every other code, submitter and instance", () => {
    const others = [
      sealCode(alice.codeSecret, codeOwner, Buffer.concat([code, Buffer.from(" ")])),
      sealCode(bob.codeSecret, codeOwner, code),
      sealCode(alice.codeSecret, { ...codeOwner, user: bob.user }, code),
      sealCode(alice.codeSecret, { ...codeOwner, rootKey: otherRoot.publicKey }, code),
    ];
    for (const other of others) {
      expect(other.reference.name).not.toBe(reference.name);
      expect(other.key).not.toEqual(key);
      expect(other.parts[0]).not.toEqual(parts[0]);
    }
    expect(Buffer.concat(parts).includes("secret")).toBe(false);
  });

  const stored = new RefusedError(
    `code ${reference.name.slice(0, 12)}: the stored bytes are not the ones that were signed`,
  );

  test("opens whole and in order only", () => {
    expect(Buffer.compare(openCode(key, codeOwner, reference, parts), code)).toBe(0);
    const [a, b, c] = parts as [Uint8Array, Uint8Array, Uint8Array];
    for (const wrong of [
      [],
      [a],
      [a, b],
      [b, a, c],
      [a, b, c, c],
      [a, b, c, new Uint8Array()],
      [Buffer.concat([a, b]), c],
    ]) {
      expect(() => openCode(key, codeOwner, reference, wrong)).toThrow(stored);
    }
    const other = sealCode(bob.codeSecret, codeOwner, code);
    expect(() => openCode(key, codeOwner, reference, other.parts)).toThrow(stored);
  });

  test("does not open under another key, name or owner, though its hash is right", () => {
    const refused = (name: string) =>
      new RefusedError(`code ${name.slice(0, 12)}: altered, or sealed for something else`);
    const { name } = reference;
    expect(() => openCode(counting(1), codeOwner, reference, parts)).toThrow(refused(name));
    expect(() => openCode(key, { ...codeOwner, user: bob.user }, reference, parts)).toThrow(refused(name));
    expect(() => openCode(key, codeOwner, { ...reference, name: "0".repeat(64) }, parts)).toThrow(
      refused("0".repeat(64)),
    );
  });

  test("may be empty", () => {
    const empty = sealCode(alice.codeSecret, codeOwner, new Uint8Array());
    expect(empty.parts.length).toBe(1);
    expect(openCode(empty.key, codeOwner, empty.reference, empty.parts).length).toBe(0);
  });
});
