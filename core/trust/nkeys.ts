/** NATS nkeys (github.com/nats-io/nkeys) made from raw Ed25519 seeds, so that they can be derived. */
import { fromPublic, fromSeed, type KeyPair, Prefix } from "@nats-io/nkeys";
import { Codec } from "@nats-io/nkeys/lib/codec.js";
import { DecodeError } from "../errors.ts";
import { guarded } from "./guarded.ts";

export type { KeyPair };

/** The nkey pair of a 32-byte Ed25519 seed. */
export function nkeyFromSeed(kind: "operator" | "account" | "user", seed: Uint8Array): KeyPair {
  const prefix = { operator: Prefix.Operator, account: Prefix.Account, user: Prefix.User }[kind];
  const pair = fromSeed(Codec.encodeSeed(prefix, seed));
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

/** The public operator nkey (`O...`) of a raw root key. */
export function operatorNkey(rootKey: Uint8Array): string {
  return Buffer.from(Codec.encode(Prefix.Operator, rootKey)).toString("ascii");
}
