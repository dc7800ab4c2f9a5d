import { createHash, randomBytes } from "node:crypto";
import { fromSeed } from "@nats-io/nkeys";
import * as ed from "@noble/ed25519";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecodeError, RefusedError } from "../../core/errors.ts";
import { identityFromSeed, newSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { agreementFromSeed, derive, signerFromSeed, verify } from "../../core/trust/keys.ts";
import { nkeyFromSeed, operatorNkey, rawNkey } from "../../core/trust/nkeys.ts";
import { alice, alterations, counting, root } from "../support/trust.ts";

ed.hashes.sha512 = (message) => Uint8Array.from(createHash("sha512").update(message).digest());

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

describe("signatures", () => {
  const signer = signerFromSeed(counting(1));
  const message = counting(50, 100);
  const signature = signer.sign(message);

  test("an altered signature, message or key does not hold, and nothing is thrown", () => {
    for (const { how, bytes } of alterations(signature))
      expect(verify(signer.publicKey, message, bytes), how).toBe(false);
    for (const { how, bytes } of alterations(message))
      expect(verify(signer.publicKey, bytes, signature), how).toBe(false);
    for (const { how, bytes } of alterations(signer.publicKey))
      expect(verify(bytes, message, signature), how).toBe(false);
  });

  test("any bytes at all as key and signature are only ever false", () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(32), bytes(64), (key, forged) => {
        expect(verify(key, message, forged)).toBe(false);
      }),
    );
  });

  test("the same signature plus the group's order is refused: nobody can make a second one of it (RFC 8032 5.1.7)", () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${hex(Uint8Array.from(signature.subarray(32)).reverse())}`) + order;
    const second = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse(),
    ]);
    expect(second.length).toBe(64);
    expect(verify(signer.publicKey, message, second)).toBe(false);
  });

  test("a signature holds for one signer only", () => {
    const other = signerFromSeed(counting(2));
    expect(verify(other.publicKey, message, signature)).toBe(false);
    expect(verify(signer.publicKey, message, signature)).toBe(true);
  });

  test("more keys than are remembered", () => {
    const keys = Array.from({ length: 1100 }, () => Uint8Array.from(randomBytes(32)));
    for (const key of keys) expect(verify(key, message, signature)).toBe(false);
    expect(verify(signer.publicKey, message, signature)).toBe(true);
  });
});

describe("agreement", () => {
  const agreement = agreementFromSeed(counting(3));

  // Points of order 1, 2, 4 and 8 and their other encodings: cr.yp.to/ecdh.html#validate
  test.each([
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // The same with the highest bit set, which RFC 7748 section 5 ignores.
    "0000000000000000000000000000000000000000000000000000000000000080",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  ])("a point of small order is refused: %s", (point) => {
    expect(() => agreement.agree(Buffer.from(point, "hex"))).toThrow(
      new RefusedError("an encryption key is a point of small order: no secret can be shared with it"),
    );
  });

  test("both sides reach the same secret, and a third another", () => {
    const [left, right, third] = [4, 5, 6].map((n) => agreementFromSeed(counting(n)));
    expect(hex(left!.agree(right!.publicKey))).toBe(hex(right!.agree(left!.publicKey)));
    expect(hex(left!.agree(right!.publicKey))).not.toBe(hex(left!.agree(third!.publicKey)));
  });

  test.each([0, 31, 33])("keys and seeds of %d bytes are a programming error", (length) => {
    const wrong = counting(1, length);
    expect(() => agreement.agree(wrong)).toThrow(new RangeError(`x25519 public key: expected 32 bytes, got ${length}`));
    expect(() => agreementFromSeed(wrong)).toThrow(new RangeError(`x25519 seed: expected 32 bytes, got ${length}`));
    expect(() => signerFromSeed(wrong)).toThrow(new RangeError(`ed25519 seed: expected 32 bytes, got ${length}`));
  });
});

describe("identities", () => {
  test("login, signing and encryption keys and the code secret all differ, and so do those of two seeds", () => {
    const secrets = (identity: typeof alice) => [
      hex(rawNkey("user", identity.user)),
      hex(identity.signer.publicKey),
      hex(identity.agreement.publicKey),
      hex(identity.codeSecret),
    ];
    const all = [...secrets(alice), ...secrets(identityFromSeed(counting(4))), hex(counting(3)), hex(counting(4))];
    expect(new Set(all).size).toBe(all.length);
  });

  test("what the login key signs is no signature of the signing key", () => {
    const nonce = Buffer.from("Yc9tMKfJdxtUqmo");
    const signed = alice.login.sign(nonce);
    expect(verify(rawNkey("user", alice.user), nonce, signed)).toBe(true);
    expect(verify(alice.signer.publicKey, nonce, signed)).toBe(false);
  });

  test("are the same each time from the same seed, and seeds are not", () => {
    expect(identityFromSeed(counting(3)).user).toBe(alice.user);
    expect(hex(newSeed())).not.toBe(hex(newSeed()));
    expect(newSeed().length).toBe(32);
  });

  test("the root's account keys differ by label and from the root key", () => {
    const labels = ["system", "hub", "guest", "user/A", "user/B", "datacenter/A", "datacenter/B"];
    const keys = labels.map((label) => root.account(label).getPublicKey());
    expect(new Set(keys).size).toBe(labels.length);
    for (const key of keys) expect(key).toMatch(/^A[A-Z2-7]{55}$/);
    expect(rootFromSeed(counting(2)).account("hub").getPublicKey()).not.toBe(keys[1]);
    expect(operatorNkey(root.publicKey)).toBe(root.operator.getPublicKey());
  });

  test("derived keys depend on secret, purpose and salt", () => {
    const all = [
      derive(counting(1), "a"),
      derive(counting(1), "b"),
      derive(counting(2), "a"),
      derive(counting(1), "a", counting(1)),
      derive(counting(1), "a", counting(2)),
    ].map(hex);
    expect(new Set(all).size).toBe(all.length);
  });
});

test.each(["operator", "account", "user"] as const)("an %s nkey pair is the library's own, only quicker", (kind) => {
  const pair = nkeyFromSeed(kind, counting(9));
  const theirs = fromSeed(pair.getSeed());
  expect(pair.getPublicKey()).toBe(theirs.getPublicKey());
  expect(hex(pair.getPrivateKey())).toBe(hex(theirs.getPrivateKey()));
  const message = counting(50, 100);
  expect(hex(pair.sign(message))).toBe(hex(theirs.sign(message)));
  expect(pair.verify(message, theirs.sign(message))).toBe(true);
  expect(pair.verify(counting(49, 100), theirs.sign(message))).toBe(false);
  pair.clear();
  for (const secret of [() => pair.getSeed(), () => pair.getPrivateKey(), () => pair.sign(message)]) {
    expect(secret).toThrow("clear");
  }
});

describe("public nkeys", () => {
  test("come back raw", () => {
    expect(hex(rawNkey("operator", root.operator.getPublicKey()))).toBe(hex(root.publicKey));
    const user = nkeyFromSeed("user", counting(9));
    expect(hex(rawNkey("user", user.getPublicKey()))).toBe(hex(ed.getPublicKey(counting(9))));
  });

  test("of another kind, secret ones, cut or mistyped ones are refused", () => {
    const account = root.account("hub").getPublicKey();
    const seed = Buffer.from(nkeyFromSeed("user", counting(9)).getSeed()).toString("ascii");
    const mistyped = alice.user.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const wrong of [
      account,
      seed,
      alice.user.slice(0, -1),
      `${alice.user}A`,
      mistyped,
      "",
      "U",
      "é",
      alice.user.toLowerCase(),
    ]) {
      expect(() => rawNkey("user", wrong), wrong).toThrow(
        new DecodeError(`not a public user nkey: ${JSON.stringify(wrong.slice(0, 60))}`),
      );
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
        expect(() => rawNkey("user", text)).toThrow(DecodeError);
      }),
    );
  });
});
