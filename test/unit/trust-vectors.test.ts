import { createHash, hkdfSync } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import * as ed from "@noble/ed25519";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallVerifier, signPage } from "../../core/trust/call.ts";
import { openCode, sealCode } from "../../core/trust/code.ts";
import { openDirectory, openGrant, signDirectory, signGrant } from "../../core/trust/grant.ts";
import { identityFromSeed, rootFromSeed } from "../../core/trust/identity.ts";
import { agreementFromSeed, derive, signerFromSeed, verify } from "../../core/trust/keys.ts";
import { closingRecord, manifestRecord } from "../../core/trust/manifest.ts";
import { formatRequest } from "../../core/trust/request.ts";
import { open, openWith, type SealKind, seal, sealWith } from "../../core/trust/seal.ts";
import { SHORT_BYTES, SHORT_DATA_BYTES } from "../../core/trust/short-seal.ts";
import { openSigned, signRecord } from "../../core/trust/signed.ts";
import { unwrapKey, wrapKey } from "../../core/trust/wrap.ts";
import rfc from "../vectors/rfc.json" with { type: "json" };
import vectors from "../vectors/trust.json" with { type: "json" };

// @noble/ed25519 brings no hash of its own; its synchronous functions use the one that is set here.
ed.hashes.sha512 = (message) => Uint8Array.from(createHash("sha512").update(message).digest());

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("published vectors", () => {
  test.each(rfc.ed25519.vectors)("Ed25519, RFC 8032: message '$message'", (vector) => {
    const signer = signerFromSeed(bytes(vector.seed));
    const message = bytes(vector.message);
    expect(hex(signer.publicKey)).toBe(vector.publicKey);
    expect(hex(signer.sign(message))).toBe(vector.signature);
    expect(hex(ed.sign(message, bytes(vector.seed)))).toBe(vector.signature);
    expect(verify(signer.publicKey, message, bytes(vector.signature))).toBe(true);
  });

  test.each(rfc.x25519.vectors)("X25519, RFC 7748: $point", (vector) => {
    const agreement = agreementFromSeed(bytes(vector.scalar));
    expect(hex(agreement.agree(bytes(vector.point)))).toBe(vector.shared);
    if (vector.publicKey !== undefined) expect(hex(agreement.publicKey)).toBe(vector.publicKey);
  });

  test.each(rfc.hkdf.vectors)("HKDF-SHA256, RFC 5869: $okm", (vector) => {
    const okm = hkdfSync("sha256", bytes(vector.ikm), bytes(vector.salt), bytes(vector.info), vector.okm.length / 2);
    expect(hex(new Uint8Array(okm))).toBe(vector.okm);
    if (vector.info === "")
      expect(hex(derive(bytes(vector.ikm), "", bytes(vector.salt)))).toBe(vector.okm.slice(0, 64));
  });

  test("XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03 A.3.1", () => {
    const { key, nonce, data, plaintext, ciphertext, tag } = rfc.xchacha20poly1305;
    const sealed = nonce + ciphertext + tag;
    expect(hex(sealWith(bytes(key), bytes(nonce), bytes(data), bytes(plaintext)))).toBe(sealed);
    expect(hex(openWith(bytes(key), bytes(data), bytes(sealed), "it"))).toBe(plaintext);
    expect(hex(xchacha20poly1305(bytes(key), bytes(nonce), bytes(data)).encrypt(bytes(plaintext)))).toBe(
      ciphertext + tag,
    );
  });
});

describe("the same bytes as the reference implementations", () => {
  const any = fc.uint8Array({ maxLength: 2000 });

  test("Ed25519: keys, signatures, and whether they hold", () => {
    fc.assert(
      fc.property(seed, any, (secret, message) => {
        const signer = signerFromSeed(secret);
        expect(hex(signer.publicKey)).toBe(hex(ed.getPublicKey(secret)));
        const signature = ed.sign(message, secret);
        expect(hex(signer.sign(message))).toBe(hex(signature));
        expect(verify(signer.publicKey, message, signature)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test("XChaCha20-Poly1305 both ways", () => {
    fc.assert(
      fc.property(seed, fc.uint8Array({ minLength: 24, maxLength: 24 }), any, any, (key, nonce, data, plaintext) => {
        const sealed = sealWith(key, nonce, data, plaintext);
        const reference = xchacha20poly1305(key, nonce, data);
        expect(hex(sealed)).toBe(hex(nonce) + hex(reference.encrypt(plaintext)));
        expect(hex(reference.decrypt(sealed.subarray(24)))).toBe(hex(plaintext));
        expect(hex(openWith(key, data, sealed, "it"))).toBe(hex(plaintext));
      }),
      { numRuns: 100 },
    );
  });

  test("XChaCha20-Poly1305 of texts about as long as those that are sealed here, without node:crypto", () => {
    const [key, nonce] = [Buffer.alloc(32, 7), Buffer.alloc(24, 9)];
    for (const size of [0, 1, 15, 16, 63, 64, 65, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1]) {
      for (const dataSize of [0, 16, 250, SHORT_DATA_BYTES, SHORT_DATA_BYTES + 1]) {
        const [plaintext, data] = [Buffer.alloc(size, size), Buffer.alloc(dataSize, dataSize)];
        const sealed = sealWith(key, nonce, data, plaintext);
        expect(hex(sealed.subarray(24))).toBe(hex(xchacha20poly1305(key, nonce, data).encrypt(plaintext)));
        expect(hex(openWith(key, data, sealed, "it"))).toBe(hex(plaintext));
        for (const at of [24, sealed.length - 17, sealed.length - 16, sealed.length - 1]) {
          const other = Buffer.from(sealed);
          other[at]! ^= 0x80;
          expect(() => openWith(key, data, other, "it")).toThrow("it: altered, or sealed for something else");
        }
      }
    }
  });
});

describe("humq's formats", () => {
  const [alice, datacenter] = vectors.identities.map(({ seed: secret }) => identityFromSeed(bytes(secret))) as [
    ReturnType<typeof identityFromSeed>,
    ReturnType<typeof identityFromSeed>,
  ];
  const root = rootFromSeed(bytes(vectors.root.seed));
  const { tag } = vectors;
  const tagKey = bytes(vectors.tagKey);
  const owner = { rootKey: root.publicKey, user: alice.user, tag };

  test("the root key and the account keys that come from it", () => {
    expect(hex(root.publicKey)).toBe(vectors.root.publicKey);
    expect(root.operator.getPublicKey()).toBe(vectors.root.operator);
    const accounts = vectors.root.accounts.map(({ label }) => ({ label, account: root.account(label).getPublicKey() }));
    expect(accounts).toEqual(vectors.root.accounts);
  });

  test.each(vectors.identities)("the identity $user", (vector) => {
    const identity = identityFromSeed(bytes(vector.seed));
    expect({
      seed: vector.seed,
      user: identity.user,
      signingKey: hex(identity.signer.publicKey),
      encryptionKey: hex(identity.agreement.publicKey),
      codeSecret: hex(identity.codeSecret),
      request: formatRequest(identity),
    }).toEqual(vector);
  });

  test.each(vectors.seals)("a sealed $kind", ({ sealed, plaintext, kind, callHash, ...numbers }) => {
    const context = { ...owner, ...numbers, kind: kind as SealKind, callHash: bytes(callHash) };
    expect(Buffer.from(open(tagKey, context, bytes(sealed))).toString("utf8")).toBe(plaintext);
    expect(hex(open(tagKey, context, seal(tagKey, context, bytes(sealed))))).toBe(sealed);
  });

  test.each(vectors.wraps)("a tag key wrapped for reader $reader", ({ reader, ...wrap }) => {
    const identity = [alice, datacenter][reader]!;
    const wrapped = { keyId: bytes(wrap.keyId), ephemeralKey: bytes(wrap.ephemeralKey), sealed: bytes(wrap.sealed) };
    expect(hex(unwrapKey([wrapped], identity.agreement, owner)!)).toBe(vectors.tagKey);
    const own = wrapKey(tagKey, identity.agreement.publicKey, owner);
    expect(hex(own.keyId)).toBe(wrap.keyId);
    expect(own.sealed.length).toBe(wrapped.sealed.length);
  });

  test.each(vectors.pages)("page $page", ({ page, root: pageRoot, messages }) => {
    const bodies = messages.map(({ first, sealed }) => ({
      first,
      count: 1,
      generation: 0,
      parts: 0,
      sealed: bytes(sealed),
    }));
    const signed = signPage(owner, page, bodies, alice.signer);
    expect(hex(signed.root)).toBe(pageRoot);
    expect(signed.messages.map(({ message }) => hex(message))).toEqual(messages.map(({ message }) => message));
    const verifier = new CallVerifier(owner, alice.signer.publicKey);
    for (const { first, hash, message } of messages) {
      expect(hex(verifier.open(bytes(message), first).hash)).toBe(hash);
    }
  });

  test.each(vectors.codes)("sealed code of $length bytes", ({ length, ...vector }) => {
    const code = Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    const { reference, key, parts } = sealCode(alice.codeSecret, owner, code);
    expect({ name: reference.name, key: hex(key), parts: reference.parts, hash: hex(reference.hash) }).toEqual(vector);
    expect(Buffer.compare(openCode(key, owner, reference, parts), code)).toBe(0);
  });

  test("signed records", () => {
    const { grant, directory, manifest, closing } = vectors.signed;
    const signingKey = alice.signer.publicKey;
    expect(hex(signGrant(openGrant(bytes(grant), root.publicKey), root.signer))).toBe(grant);
    expect(hex(signDirectory(openDirectory(bytes(directory), root.publicKey), root.signer))).toBe(directory);
    for (const [type, signed] of [
      [manifestRecord, manifest],
      [closingRecord, closing],
    ] as const) {
      const value = openSigned(type as typeof manifestRecord, bytes(signed), signingKey, "alice");
      expect(value).toMatchObject({ user: alice.user, tag });
      expect(hex(signRecord(type as typeof manifestRecord, value, alice.signer))).toBe(signed);
    }
  });
});
