/** Fixed identities and a sample of everything that is signed or sealed. */
import type { CallBody, CallContext } from "../../core/trust/call.ts";
import type { Directory, Grant } from "../../core/trust/grant.ts";
import { type Identity, identityFromSeed, type Root, rootFromSeed } from "../../core/trust/identity.ts";
import type { ClosingRecord, Manifest } from "../../core/trust/manifest.ts";
import type { TagOptions } from "../../core/trust/options.ts";
import { type SealContext, SealKind } from "../../core/trust/seal.ts";
import { wrapKey } from "../../core/trust/wrap.ts";

/** `length` bytes that count up from `first`. */
export function counting(first: number, length = 32): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);
}

export const root: Root = rootFromSeed(counting(1));
export const otherRoot: Root = rootFromSeed(counting(2));
export const alice: Identity = identityFromSeed(counting(3));
export const bob: Identity = identityFromSeed(counting(4));
export const datacenter: Identity = identityFromSeed(counting(5));
export const tagKey = counting(6);
export const tag = "costly_0b5f1c2e-7c1d-4b8e-9d0e-3c5a7f1b2d4e";

export const owner: CallContext = { rootKey: root.publicKey, user: alice.user, tag };

export const sealContext: SealContext & Required<Pick<SealContext, "callHash" | "part" | "last">> = {
  ...owner,
  kind: SealKind.result,
  first: 5,
  count: 3,
  generation: 1,
  callHash: counting(7),
  part: 2,
  last: true,
};

export const manifest: Manifest = {
  ...owner,
  createdMs: 1_763_600_000_000,
  notAfterMs: 1_766_200_000_000,
  datacenters: ["local", "größer"],
  keys: [alice, datacenter].map(({ agreement }) => wrapKey(tagKey, agreement.publicKey, owner)),
  code: { name: "c0de".repeat(16), parts: 2, hash: counting(8) },
  options: counting(9, 80),
};

export const closing: ClosingRecord = {
  ...owner,
  calls: 10_000_000,
  messages: 100_000,
  chunkSize: 100,
};

export const options: TagOptions = {
  taskName: "costly",
  codeKey: counting(11),
  chunkSize: 100,
  packages: ["sharp@0.34", "left-pad"],
  cpus: 4,
  timeLimitMs: 3_600_000,
  timeRequestMs: 7_200_000,
  memoryBytes: 2_147_483_648,
  priority: -7,
  attempts: 3,
  maxLosses: 7,
  concurrency: 16,
};

export const grant: Grant = {
  rootKey: root.publicKey,
  name: "alice",
  role: "submitter",
  datacenters: ["local"],
  signingKey: alice.signer.publicKey,
  encryptionKey: alice.agreement.publicKey,
  user: alice.user,
  account: root.account(`user/${alice.user}`).getPublicKey(),
  issuedMs: 1_763_600_000_000,
  expiresMs: 1_771_376_000_000,
  userJwt: "eyJ0eXAi.eyJqdGki.c2ln",
};

export const directory: Directory = {
  rootKey: root.publicKey,
  issuedMs: 1_763_600_000_000,
  protocol: 2,
  datacenters: [
    { name: "local", encryptionKey: datacenter.agreement.publicKey, signingKey: datacenter.signer.publicKey },
    { name: "gpu", encryptionKey: bob.agreement.publicKey, signingKey: bob.signer.publicKey },
  ],
};

/** Bodies of `messages` call messages with one call each, from index `first` on. */
export function bodiesOf(messages: number, first = 0): CallBody[] {
  return Array.from({ length: messages }, (_, i) => ({
    first: first + i,
    count: 1,
    generation: 0,
    parts: 0,
    sealed: counting(first + i, 60),
  }));
}

/** A copy with the given bit of one byte turned over. */
export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = copy[at]! ^ (1 << bit);
  return copy;
}

/** Every altered form of `bytes`: cut at each length, with more at the end, each byte changed in two ways. */
export function* alterations(bytes: Uint8Array): Generator<{ how: string; bytes: Uint8Array }> {
  for (let length = 0; length < bytes.length; length++) {
    yield { how: `cut to ${length} bytes`, bytes: bytes.subarray(0, length) };
  }
  for (const extra of [[0], [0xff], [0, 0, 0, 0]]) {
    yield { how: `${extra.length} bytes (${extra[0]}) more`, bytes: Buffer.concat([bytes, Uint8Array.from(extra)]) };
  }
  for (let at = 0; at < bytes.length; at++) {
    yield { how: `byte ${at}, lowest bit`, bytes: flipped(bytes, at) };
    yield { how: `byte ${at}, highest bit`, bytes: flipped(bytes, at, 7) };
  }
}
