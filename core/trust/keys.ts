/** Ed25519 and X25519 from 32-byte seeds, on the native primitives of node:crypto (RFC 8032, RFC 7748). */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  sign as edSign,
  verify as edVerify,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { RefusedError } from "../errors.ts";

/** DER headers in front of a raw key: RFC 8410 section 7 (private) and section 4 (public). */
const DER = {
  ed25519: {
    private: Buffer.from("302e020100300506032b657004220420", "hex"),
    public: Buffer.from("302a300506032b6570032100", "hex"),
  },
  x25519: {
    private: Buffer.from("302e020100300506032b656e04220420", "hex"),
    public: Buffer.from("302a300506032b656e032100", "hex"),
  },
} as const;

type Curve = keyof typeof DER;

/** Length in bytes of seeds, raw public keys, hashes and symmetric keys. */
export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

function checkLength(value: Uint8Array, length: number, title: string): void {
  if (!(value instanceof Uint8Array) || value.length !== length) {
    throw new RangeError(
      `${title}: expected ${length} bytes, got ${value instanceof Uint8Array ? value.length : typeof value}`,
    );
  }
}

function privateKey(curve: Curve, seed: Uint8Array): KeyObject {
  checkLength(seed, KEY_BYTES, `${curve} seed`);
  return createPrivateKey({ key: Buffer.concat([DER[curve].private, seed]), format: "der", type: "pkcs8" });
}

function publicKey(curve: Curve, raw: Uint8Array): KeyObject {
  checkLength(raw, KEY_BYTES, `${curve} public key`);
  return createPublicKey({ key: Buffer.concat([DER[curve].public, raw]), format: "der", type: "spki" });
}

function rawPublic(curve: Curve, key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return Uint8Array.from(der.subarray(DER[curve].public.length));
}

/** A key that signs (Ed25519). */
export interface Signer {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** A key that others can wrap secrets to (X25519). */
export interface Agreement {
  readonly publicKey: Uint8Array;
  /** The shared secret with another's public key. @throws RefusedError where that key is a point of small order */
  agree(otherPublicKey: Uint8Array): Uint8Array;
}

export function signerFromSeed(seed: Uint8Array): Signer {
  const key = privateKey("ed25519", seed);
  return { publicKey: rawPublic("ed25519", key), sign: (message) => edSign(null, message, key) };
}

/** OpenSSL refuses the all-zero secret that points of small order lead to (RFC 7748 section 6.1). */
function agree(privateKey: KeyObject, publicKey: KeyObject): Uint8Array {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new RefusedError("an encryption key is a point of small order: no secret can be shared with it", { cause });
  }
}

export function agreementFromSeed(seed: Uint8Array): Agreement {
  const key = privateKey("x25519", seed);
  return {
    publicKey: rawPublic("x25519", key),
    agree: (other) => agree(key, publicKey("x25519", other)),
  };
}

const verifiers = new Map<string, KeyObject>();

/** True where `signature` is the Ed25519 signature of `message` by `signingKey`; false for anything else. */
export function verify(signingKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signingKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const id = Buffer.from(signingKey).toString("base64");
  let key = verifiers.get(id);
  if (key === undefined) {
    if (verifiers.size > 1000) verifiers.clear();
    key = publicKey("ed25519", signingKey);
    verifiers.set(id, key);
  }
  return edVerify(null, message, key, signature);
}

/** HKDF-SHA256 (RFC 5869) to 32 bytes. `info` is the purpose; no two purposes share it. */
export function derive(secret: Uint8Array, info: string, salt: Uint8Array = new Uint8Array()): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, info, KEY_BYTES));
}
