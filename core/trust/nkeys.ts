/** NATS nkeys (github.com/nats-io/nkeys) made from raw Ed25519 seeds, so that they can be derived. */
import { fromPublic, fromSeed, type KeyPair, Prefix } from "@nats-io/nkeys";
import { Codec } from "@nats-io/nkeys/lib/codec.js";
import { DecodeError } from "../errors.ts";
import { guarded } from "./guarded.ts";
import { type Signer, signerFromSeed, verify } from "./keys.ts";

export type { KeyPair };

/**
 * An nkey pair on the native primitives of node:crypto, the same bytes: the library's own takes milliseconds for each look
 * at a public key and each signature, which made an account that imports from hundreds of others a matter of minutes.
 */
class NativePair implements KeyPair {
  readonly #pair: KeyPair;
  readonly #signer: Signer;
  readonly #publicKey: string;
  readonly #privateKey: Uint8Array;

  constructor(prefix: Prefix, seed: Uint8Array) {
    this.#pair = fromSeed(Codec.encodeSeed(prefix, seed));
    this.#signer = signerFromSeed(seed);
    const { publicKey } = this.#signer;
    this.#publicKey = Buffer.from(Codec.encode(prefix, publicKey)).toString("ascii");
    this.#privateKey = Codec.encode(Prefix.Private, Buffer.concat([seed, publicKey]));
  }

  getPublicKey(): string {
    return this.#publicKey;
  }

  /** @throws NKeysError once the pair was cleared; so do all that need the seed */
  getSeed(): Uint8Array {
    return this.#pair.getSeed();
  }

  getPrivateKey(): Uint8Array {
    this.getSeed();
    return this.#privateKey;
  }

  sign(input: Uint8Array): Uint8Array {
    this.getSeed();
    return this.#signer.sign(input);
  }

  verify(input: Uint8Array, signature: Uint8Array): boolean {
    return verify(this.#signer.publicKey, input, signature);
  }

  clear(): void {
    this.#privateKey.fill(0);
    this.#pair.clear();
  }

  seal(input: Uint8Array, recipient: string, nonce?: Uint8Array): Uint8Array {
    return this.#pair.seal(input, recipient, nonce);
  }

  open(message: Uint8Array, sender: string): Uint8Array | null {
    return this.#pair.open(message, sender);
  }
}

/** The nkey pair of a 32-byte Ed25519 seed. */
export function nkeyFromSeed(kind: "operator" | "account" | "user", seed: Uint8Array): KeyPair {
  const prefix = { operator: Prefix.Operator, account: Prefix.Account, user: Prefix.User }[kind];
  const pair = new NativePair(prefix, seed);
  return guarded(pair, `${kind} nkey ${pair.getPublicKey()}`);
}

/** 35 bytes are exactly 56 characters of base32; the decoder would take more and ignore them: two names for one key. */
const PUBLIC_NKEY = /^[A-Z2-7]{56}$/;

/** The raw 32-byte key in a public nkey such as `UABC...`. @throws DecodeError where it is not one of that kind */
export function rawNkey(kind: "operator" | "user", publicNkey: string): Uint8Array {
  const prefix = kind === "operator" ? Prefix.Operator : Prefix.User;
  try {
    if (!PUBLIC_NKEY.test(publicNkey)) throw new RangeError(`${publicNkey.length} characters`);
    fromPublic(publicNkey);
    return Codec.decode(prefix, Buffer.from(publicNkey, "ascii"));
  } catch (cause) {
    throw new DecodeError(`not a public ${kind} nkey: ${JSON.stringify(publicNkey.slice(0, 60))}`, { cause });
  }
}

/** The public account nkey (`A...`) of a raw key. */
export function accountNkey(key: Uint8Array): string {
  return Buffer.from(Codec.encode(Prefix.Account, key)).toString("ascii");
}

/** The public operator nkey (`O...`) of a raw root key. */
export function operatorNkey(rootKey: Uint8Array): string {
  return Buffer.from(Codec.encode(Prefix.Operator, rootKey)).toString("ascii");
}
