/**
 * Sealing under a tag key: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce.
 *
 * The key of each kind of content is derived from the tag key, and everything that says what the content
 * is (tag, index, generation, ...) is associated data: a sealed result opens as that result or not at all.
 * HChaCha20 is @noble/ciphers'; the ChaCha20-Poly1305 after it (RFC 8439) is node:crypto's, which makes
 * the same bytes several times faster, but for short texts (core/trust/short-seal.ts).
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from "node:crypto";
import { hchacha } from "@noble/ciphers/chacha.js";
import { RefusedError } from "../errors.ts";
import { derive, KEY_BYTES } from "./keys.ts";
import { bytes, fixed, recordType, text, u32, u64 } from "./record.ts";
import { isShort, openShort, sealShort } from "./short-seal.ts";

/** What a sealed text is; each kind has a key of its own. */
export const SealKind = {
  options: "options",
  cancelReason: "cancel-reason",
  call: "call",
  callPart: "call-part",
  result: "result",
  error: "error",
  resultPart: "result-part",
  run: "run",
  log: "log",
} as const;
export type SealKind = (typeof SealKind)[keyof typeof SealKind];

/** Everything that a sealed text is bound to. */
export interface SealContext {
  /** The instance: the root's raw public key, 32 bytes. */
  rootKey: Uint8Array;
  /** The submitter: the NATS user nkey. */
  user: string;
  tag: string;
  kind: SealKind;
  /** Index of the first call and number of calls that the text is about. */
  first: number;
  count: number;
  generation: number;
  /** Of outcomes, logs and runs: the hash of the call message they answer, 32 bytes. */
  callHash?: Uint8Array;
  /** Of a text in parts: which part, from 0, and whether it is the last. */
  part?: number;
  last?: boolean;
}

export const NONCE_BYTES = 24;
export const AUTH_TAG_BYTES = 16;
/** How many bytes longer a sealed text is. */
export const SEAL_OVERHEAD = NONCE_BYTES + AUTH_TAG_BYTES;

const ALGORITHM = "xchacha20-poly1305";

const associatedData = recordType<{
  algorithm: string;
  rootKey: Uint8Array;
  user: string;
  tag: string;
  kind: string;
  first: number;
  count: number;
  generation: number;
  callHash: Uint8Array;
  part: number;
  last: number;
}>("humq/seal/1", {
  algorithm: text,
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  kind: text,
  first: u64,
  count: u32,
  generation: u32,
  callHash: bytes,
  part: u32,
  last: u32,
});

const NO_HASH = new Uint8Array();

function encodeContext(context: SealContext): Uint8Array {
  return associatedData.encode({
    algorithm: ALGORITHM,
    rootKey: context.rootKey,
    user: context.user,
    tag: context.tag,
    kind: context.kind,
    first: context.first,
    count: context.count,
    generation: context.generation,
    callHash: context.callHash ?? NO_HASH,
    part: context.part ?? 0,
    last: context.last === true ? 1 : 0,
  });
}

/** Keys for some kinds of a tag's content: what opens these and nothing else of it. */
export type KindKeys = ReadonlyMap<SealKind, Uint8Array>;

/** A tag's key, with which everything of it opens, or keys for a part of it. */
export type OpeningKey = Uint8Array | KindKeys;

const kindKeys = new WeakMap<Uint8Array, Map<string, Uint8Array>>();

function openingKey(key: OpeningKey, kind: SealKind): Uint8Array {
  if (key instanceof Uint8Array) return kindKey(key, kind);
  const given = key.get(kind);
  if (given === undefined) throw new RefusedError(`no key for what is sealed as ${kind} was shared`);
  return given;
}

export function kindKey(tagKey: Uint8Array, kind: SealKind): Uint8Array {
  let keys = kindKeys.get(tagKey);
  if (keys === undefined) {
    keys = new Map();
    kindKeys.set(tagKey, keys);
  }
  let key = keys.get(kind);
  if (key === undefined) {
    key = derive(tagKey, `humq/seal/1/${kind}`);
    keys.set(kind, key);
  }
  return key;
}

function words(source: Uint8Array): Uint32Array {
  const copy = new Uint8Array(source);
  return new Uint32Array(copy.buffer);
}

/** "expand 32-byte k", the constant of RFC 8439 section 2.3, as little-endian words. */
const SIGMA = words(Buffer.from("expand 32-byte k", "ascii"));

// Used again each time: what they hold is taken before anything else is sealed or opened.
const keyWords = new Uint32Array(KEY_BYTES / 4);
const keyBytes = new Uint8Array(keyWords.buffer);
const nonceWords = new Uint32Array(4);
const nonceBytes = new Uint8Array(nonceWords.buffer);
const subkeyWords = new Uint32Array(8);
const subkey = new Uint8Array(subkeyWords.buffer);
const nonce12 = new Uint8Array(12);

/**
 * Sets subkey and 12-byte nonce, with which XChaCha20 runs ChaCha20 (draft-irtf-cfrg-xchacha-03 section 2.3).
 * @param sealed the nonce, whatever follows
 */
function setChacha(key: Uint8Array, sealed: Uint8Array): void {
  keyBytes.set(key);
  for (let i = 0; i < 16; i++) nonceBytes[i] = sealed[i]!;
  hchacha(SIGMA, keyWords, nonceWords, subkeyWords);
  for (let i = 16; i < NONCE_BYTES; i++) nonce12[i - 12] = sealed[i]!;
}

/** A KeyObject, made anew each time, costs a third of what a raw key does (5 against 15 us an operation, Node 24). */
function subkeyObject(): KeyObject {
  return createSecretKey(subkey);
}

const cipherOptions = { authTagLength: AUTH_TAG_BYTES };

/** XChaCha20-Poly1305 with a given nonce: nonce || ciphertext || tag. */
export function sealWith(key: Uint8Array, nonce: Uint8Array, data: Uint8Array, plaintext: Uint8Array): Uint8Array {
  setChacha(key, nonce);
  if (isShort(plaintext, data)) {
    const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD + plaintext.length);
    sealed.set(nonce);
    sealShort(subkey, nonce12, data, plaintext, sealed, NONCE_BYTES);
    return sealed;
  }
  const cipher = createCipheriv("chacha20-poly1305", subkeyObject(), nonce12, cipherOptions);
  cipher.setAAD(data, { plaintextLength: plaintext.length });
  const body = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

/** As {@link seal}, of a long text in pieces, whose sealed text comes in pieces too: nonce, ciphertext, tag. Nothing is copied. */
export function sealPieces(tagKey: Uint8Array, context: SealContext, pieces: readonly Uint8Array[]): Uint8Array[] {
  const nonce = randomNonce();
  setChacha(kindKey(tagKey, context.kind), nonce);
  const cipher = createCipheriv("chacha20-poly1305", subkeyObject(), nonce12, cipherOptions);
  cipher.setAAD(encodeContext(context), { plaintextLength: pieces.reduce((sum, piece) => sum + piece.length, 0) });
  const body = pieces.map((piece) => cipher.update(piece));
  cipher.final();
  return [nonce, ...body, cipher.getAuthTag()];
}

/** @throws RefusedError where key, associated data or any byte is not the sealed one */
export function openWith(key: Uint8Array, data: Uint8Array, sealed: Uint8Array, what: string): Uint8Array {
  if (sealed.length < SEAL_OVERHEAD)
    throw new RefusedError(`${what}: ${sealed.length} bytes is too short to be sealed`);
  setChacha(key, sealed);
  const body = sealed.subarray(NONCE_BYTES, sealed.length - AUTH_TAG_BYTES);
  const authTag = sealed.subarray(sealed.length - AUTH_TAG_BYTES);
  if (isShort(body, data)) {
    const plaintext = openShort(subkey, nonce12, data, body, authTag);
    if (plaintext === undefined) throw altered(what);
    return plaintext;
  }
  const decipher = createDecipheriv("chacha20-poly1305", subkeyObject(), nonce12, cipherOptions);
  decipher.setAAD(data, { plaintextLength: body.length });
  decipher.setAuthTag(authTag);
  const plaintext = decipher.update(body);
  try {
    decipher.final();
  } catch (cause) {
    throw altered(what, cause);
  }
  return plaintext;
}

function altered(what: string, cause?: unknown): RefusedError {
  return new RefusedError(`${what}: altered, or sealed for something else`, cause === undefined ? {} : { cause });
}

const nonces = Buffer.allocUnsafe(NONCE_BYTES * 256);
let nextNonce = nonces.length;

/** 24 random bytes, drawn from the system 256 nonces at a time. */
export function randomNonce(): Uint8Array {
  if (nextNonce === nonces.length) {
    randomFillSync(nonces);
    nextNonce = 0;
  }
  const nonce = Uint8Array.prototype.slice.call(nonces, nextNonce, nextNonce + NONCE_BYTES);
  nextNonce += NONCE_BYTES;
  return nonce;
}

/**
 * Seals `plaintext` for one use.
 * @param tagKey 32 bytes; keep the same Uint8Array object, derived keys are remembered by it
 * @returns nonce (24) || ciphertext || tag (16)
 */
export function seal(tagKey: Uint8Array, context: SealContext, plaintext: Uint8Array): Uint8Array {
  return sealWith(kindKey(tagKey, context.kind), randomNonce(), encodeContext(context), plaintext);
}

/** @throws RefusedError where the text was not sealed under this key for exactly this context */
export function open(key: OpeningKey, context: SealContext, sealed: Uint8Array): Uint8Array {
  const what = `${context.kind} of call ${context.first} in ${context.tag}`;
  return openWith(openingKey(key, context.kind), encodeContext(context), sealed, what);
}
