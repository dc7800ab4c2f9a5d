/**
 * Wrapping a tag key for one reader: X25519 with a fresh ephemeral key (RFC 7748), HKDF-SHA256 over the
 * shared secret and both public keys, then XChaCha20-Poly1305. What the key is for is associated data.
 */
import { createHash, randomBytes } from "node:crypto";
import { RefusedError } from "../errors.ts";
import { type Agreement, agreementFromSeed, derive, KEY_BYTES } from "./keys.ts";
import { bytes, fixed, recordType, struct, text } from "./record.ts";
import { openWith, randomNonce, sealWith } from "./seal.ts";

/** What a wrapped key is for. */
export interface WrapContext {
  rootKey: Uint8Array;
  user: string;
  tag: string;
}

export interface WrappedKey {
  /** Which key it is wrapped for, 8 bytes: see {@link keyId}. */
  keyId: Uint8Array;
  ephemeralKey: Uint8Array;
  sealed: Uint8Array;
}

const KEY_ID_BYTES = 8;

export const wrappedKey = struct<WrappedKey>({
  keyId: fixed(KEY_ID_BYTES),
  ephemeralKey: fixed(KEY_BYTES),
  sealed: bytes,
});

const wrapData = recordType<WrapContext & { keyId: Uint8Array }>("humq/wrap/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  keyId: fixed(KEY_ID_BYTES),
});

/** The first 8 bytes of the SHA-256 of an encryption key: tells a reader which of its keys opens a wrap. */
export function keyId(encryptionKey: Uint8Array): Uint8Array {
  return createHash("sha256").update(encryptionKey).digest().subarray(0, KEY_ID_BYTES);
}

function wrapSecret(shared: Uint8Array, ephemeralKey: Uint8Array, encryptionKey: Uint8Array): Uint8Array {
  return derive(shared, "humq/wrap/1", Buffer.concat([ephemeralKey, encryptionKey]));
}

export function wrapKey(tagKey: Uint8Array, encryptionKey: Uint8Array, context: WrapContext): WrappedKey {
  const ephemeral = agreementFromSeed(randomBytes(KEY_BYTES));
  const secret = wrapSecret(ephemeral.agree(encryptionKey), ephemeral.publicKey, encryptionKey);
  const id = keyId(encryptionKey);
  const sealed = sealWith(secret, randomNonce(), wrapData.encode({ ...context, keyId: id }), tagKey);
  return { keyId: id, ephemeralKey: ephemeral.publicKey, sealed };
}

/**
 * @returns the tag key, or undefined where none of `wraps` is for this reader
 * @throws RefusedError where the one for this reader is altered, for another tag, or holds no key
 */
export function unwrapKey(
  wraps: readonly WrappedKey[],
  reader: Agreement,
  context: WrapContext,
): Uint8Array | undefined {
  const id = keyId(reader.publicKey);
  const wrap = wraps.find((candidate) => Buffer.compare(candidate.keyId, id) === 0);
  if (wrap === undefined) return undefined;
  const secret = wrapSecret(reader.agree(wrap.ephemeralKey), wrap.ephemeralKey, reader.publicKey);
  const data = wrapData.encode({ ...context, keyId: id });
  const tagKey = openWith(secret, data, wrap.sealed, `the key of ${context.tag}`);
  if (tagKey.length !== KEY_BYTES) throw new RefusedError(`the key of ${context.tag} has ${tagKey.length} bytes`);
  return Uint8Array.from(tagKey);
}
