/**
 * Identities and the root key, each one 32-byte seed.
 *
 * An identity's login, signing and encryption keys are derived apart: the NATS login signs whatever nonce
 * a broker sends, so a key that also signed manifests would be a signing oracle.
 */
import { randomBytes } from "node:crypto";
import { guarded } from "./guarded.ts";
import { type Agreement, agreementFromSeed, derive, KEY_BYTES, type Signer, signerFromSeed } from "./keys.ts";
import { type KeyPair, nkeyFromSeed } from "./nkeys.ts";

/** A person or a datacenter. */
export interface Identity {
  /** The login's public nkey (`U...`), which names the identity everywhere. */
  readonly user: string;
  readonly login: KeyPair;
  readonly signer: Signer;
  /**
   * The signing key as NATS knows keys of accounts: with it a person issues logins to those whom they share tags with.
   * What is signed so is the text of a JWT, which begins with `eyJ`; a record begins with a length, so neither passes for
   * the other.
   */
  readonly issuer: KeyPair;
  readonly agreement: Agreement;
  /** From which names and keys of stored code are derived, 32 bytes. */
  readonly codeSecret: Uint8Array;
}

/** The owner's key: the NATS operator, which signs grants and from which the account keys are derived. */
export interface Root {
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly operator: KeyPair;
  readonly signer: Signer;
  /** Vouches for the instance's servers (TLS); signs nothing else. */
  readonly authority: Signer;
  /** The key of a NATS account, for example `user/UABC...`, `datacenter/local`, `hub`. */
  account(label: string): KeyPair;
}

export function newSeed(): Uint8Array {
  return Uint8Array.from(randomBytes(KEY_BYTES));
}

export function identityFromSeed(seed: Uint8Array): Identity {
  const login = nkeyFromSeed("user", derive(seed, "humq/identity/1/login"));
  const signSeed = derive(seed, "humq/identity/1/sign");
  const user = login.getPublicKey();
  const identity = {
    user,
    login,
    signer: signerFromSeed(signSeed),
    issuer: nkeyFromSeed("account", signSeed),
    agreement: agreementFromSeed(derive(seed, "humq/identity/1/encrypt")),
    codeSecret: guarded(derive(seed, "humq/identity/1/code"), "secret"),
  };
  return guarded(identity, `identity ${user}`);
}

export function rootFromSeed(seed: Uint8Array): Root {
  const signer = signerFromSeed(seed);
  const operator = nkeyFromSeed("operator", seed);
  const root: Root = {
    publicKey: signer.publicKey,
    operator,
    signer,
    authority: signerFromSeed(derive(seed, "humq/tls-authority/1")),
    account: (label) => nkeyFromSeed("account", derive(seed, `humq/account/1/${label}`)),
  };
  return guarded(root, `root key ${operator.getPublicKey()}`);
}
