/**
 * A seed under a passphrase: scrypt (RFC 7914) makes a key of it, XChaCha20-Poly1305 seals the seed; what the key is
 * made with, and whose seed it is, is authenticated with it.
 *
 * As text: `humq-protected <header> <sealed>`, both base64url. The header is a record of ./record.ts.
 */
import { randomBytes, scryptSync } from "node:crypto";
import { DecodeError, PassphraseError, RefusedError } from "../errors.ts";
import { KEY_BYTES } from "./keys.ts";
import { fixed, recordType, u32 } from "./record.ts";
import { openWith, randomNonce, sealWith } from "./seal.ts";

/** Cost of one guess: 2^17 rounds of 8 KiB blocks are 128 MiB and about 0.4 s (what OWASP asks of scrypt, 2024). */
const COST = { logN: 17, r: 8, p: 1 } as const;
/** What a file may ask for: enough for stronger ones to come, too little to harm who opens it. */
const MOST = { logN: 20, r: 16, p: 4 } as const;
const LEAST = { logN: 14, r: 8, p: 1 } as const;
const SALT_BYTES = 32;
/** Fewer characters than this are guessed. */
export const LEAST_PASSPHRASE = 8;

interface Header {
  logN: number;
  r: number;
  p: number;
  salt: Uint8Array;
  /** Of the root key, in clear: whose it is can be told without the passphrase. */
  publicKey: Uint8Array;
}

const header = recordType<Header>("humq/protected-root/1", {
  logN: u32,
  r: u32,
  p: u32,
  salt: fixed(SALT_BYTES),
  publicKey: fixed(KEY_BYTES),
});

const PREFIX = "humq-protected";

function keyOf(passphrase: string, { logN, r, p, salt }: Header): Uint8Array {
  const N = 2 ** logN;
  // The same characters, however a keyboard composes them (RFC 8265, OpaqueString).
  return scryptSync(passphrase.normalize("NFC"), salt, KEY_BYTES, { N, r, p, maxmem: 2 * 128 * N * r });
}

/** @param publicKey of the seed, kept readable */
export function protectSeed(seed: Uint8Array, publicKey: Uint8Array, passphrase: string): string {
  const head: Header = { ...COST, salt: randomBytes(SALT_BYTES), publicKey };
  const encoded = header.encode(head);
  const sealed = sealWith(keyOf(passphrase, head), randomNonce(), encoded, seed);
  return [PREFIX, Buffer.from(encoded).toString("base64url"), Buffer.from(sealed).toString("base64url")].join(" ");
}

export interface ProtectedSeed {
  publicKey: Uint8Array;
  /** @throws PassphraseError where it is the wrong one */
  open(passphrase: string): Uint8Array;
}

export function isProtected(text: string): boolean {
  return text.startsWith(`${PREFIX} `);
}

/** @throws DecodeError where the text is no whole protected seed, or asks for more than any humq has written */
export function parseProtected(text: string): ProtectedSeed {
  const [prefix, encoded, sealed, ...rest] = text.trim().split(" ");
  if (prefix !== PREFIX || encoded === undefined || sealed === undefined || rest.length > 0)
    throw new DecodeError("a protected root key is damaged: expected three words. Restore it from a backup.");
  const bytes = Buffer.from(encoded, "base64url");
  const head = header.decode(bytes);
  for (const name of ["logN", "r", "p"] as const) {
    if (head[name] < LEAST[name] || head[name] > MOST[name])
      throw new DecodeError(
        `a protected root key asks for scrypt with ${name} ${head[name]}, expected ${LEAST[name]} to ${MOST[name]}`,
      );
  }
  return {
    publicKey: head.publicKey,
    open(passphrase) {
      try {
        return openWith(keyOf(passphrase, head), bytes, Buffer.from(sealed, "base64url"), "the root key");
      } catch (cause) {
        if (!(cause instanceof RefusedError)) throw cause;
        throw new PassphraseError("this is not the passphrase of the root key (or its file is damaged)");
      }
    },
  };
}
