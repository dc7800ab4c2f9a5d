/**
 * What a person shares: one signed record with an entry for each tag and reader, sealed between the two.
 *
 * An entry's key comes from the X25519 secret that both sides have (HKDF-SHA256 over it and both public keys), so either
 * can open it and nobody else; nobody sees from an entry whom it is for. The list of readers is sealed to the sharer
 * alone, by the same means.
 */
import { RefusedError } from "../errors.ts";
import { type Agreement, derive, KEY_BYTES, type Signer } from "./keys.ts";
import { bytes, fixed, list, recordType, struct, text, u64 } from "./record.ts";
import { type KindKeys, kindKey, openWith, randomNonce, SealKind, sealWith } from "./seal.ts";
import { openSigned, peekSigned, signRecord } from "./signed.ts";

/** What opens results, errors and the parts of large results, and nothing else of a tag. */
export interface ReadingKeys {
  result: Uint8Array;
  error: Uint8Array;
  resultPart: Uint8Array;
}

/** Calls, options (with the code's key) and console output stay closed. */
export function readingKeysOf(tagKey: Uint8Array): ReadingKeys {
  return {
    result: kindKey(tagKey, SealKind.result),
    error: kindKey(tagKey, SealKind.error),
    resultPart: kindKey(tagKey, SealKind.resultPart),
  };
}

export function kindKeysOf({ result, error, resultPart }: ReadingKeys): KindKeys {
  return new Map([
    [SealKind.result, result],
    [SealKind.error, error],
    [SealKind.resultPart, resultPart],
  ]);
}

/** What one reader is given of one tag. Times are in milliseconds since 1970. */
export interface Share {
  tag: string;
  task: string;
  createdMs: number;
  /** When the tag expires. */
  notAfterMs: number;
  calls: number;
  /** Names of the datacenters that might run it when it was shared. */
  datacenters: string[];
  sharedMs: number;
  /** When the share ends. */
  expiresMs: number;
  /** The NATS user JWT with which the reader logs in among the sharer's readers. */
  login: string;
  keys: ReadingKeys;
}

const shareRecord = recordType<Share>("humq/share/1", {
  tag: text,
  task: text,
  createdMs: u64,
  notAfterMs: u64,
  calls: u64,
  datacenters: list(text),
  sharedMs: u64,
  expiresMs: u64,
  login: text,
  keys: struct<ReadingKeys>({ result: fixed(KEY_BYTES), error: fixed(KEY_BYTES), resultPart: fixed(KEY_BYTES) }),
});

/** A reader as the sharer remembers them. */
export interface Reader {
  name: string;
  user: string;
  encryptionKey: Uint8Array;
}

const readersRecord = recordType<{ readers: Reader[] }>("humq/share-readers/1", {
  readers: list(struct<Reader>({ name: text, user: text, encryptionKey: fixed(KEY_BYTES) })),
});

/** All that a person shares, as it lies on the hub for everybody to see. */
export interface Shares {
  rootKey: Uint8Array;
  user: string;
  name: string;
  issuedMs: number;
  /** Sealed {@link Reader}s, one an entry and in the same order; only the sharer opens it. */
  readers: Uint8Array;
  /** Sealed {@link Share}s. */
  entries: Uint8Array[];
}

const sharesRecord = recordType<Shares>("humq/shares/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  name: text,
  issuedMs: u64,
  readers: bytes,
  entries: list(bytes),
});

export function signShares(shares: Shares, signer: Signer): Uint8Array {
  return signRecord(sharesRecord, shares, signer);
}

/** @throws RefusedError where the signature is not by `signingKey`, or it is another's or another instance's record */
export function openShares(
  signed: Uint8Array,
  sharer: { rootKey: Uint8Array; user: string; name: string; signingKey: Uint8Array },
): Shares {
  const shares = openSigned(sharesRecord, signed, sharer.signingKey, sharer.name);
  const ours = Buffer.compare(shares.rootKey, sharer.rootKey) === 0 && shares.user === sharer.user;
  if (!ours || shares.name !== sharer.name)
    throw new RefusedError(`what ${sharer.name} shares is a record of something else`);
  return shares;
}

/** Whose claim it is, to know whose signature to check next; see `peekSigned`. */
export function claimedSharer(signed: Uint8Array): string {
  return peekSigned(sharesRecord, signed).name;
}

/** One of the two between whom something is sealed. */
export interface Party {
  user: string;
  /** X25519 public key. */
  encryptionKey: Uint8Array;
}

/** Who sealed what for whom, on which instance. */
export interface SharedBetween {
  rootKey: Uint8Array;
  from: Party;
  to: Party;
}

const between = recordType<{ rootKey: Uint8Array; kind: string; from: string; to: string }>("humq/share-seal/1", {
  rootKey: fixed(KEY_BYTES),
  kind: text,
  from: text,
  to: text,
});

function keyBetween(own: Agreement, { from, to }: SharedBetween): Uint8Array {
  const isSender = Buffer.compare(own.publicKey, from.encryptionKey) === 0;
  const secret = own.agree(isSender ? to.encryptionKey : from.encryptionKey);
  return derive(secret, "humq/share-seal/1", Buffer.concat([from.encryptionKey, to.encryptionKey]));
}

function dataOf({ rootKey, from, to }: SharedBetween, kind: "share" | "readers"): Uint8Array {
  return between.encode({ rootKey, kind, from: from.user, to: to.user });
}

export function sealShare(share: Share, own: Agreement, parties: SharedBetween): Uint8Array {
  return sealWith(keyBetween(own, parties), randomNonce(), dataOf(parties, "share"), shareRecord.encode(share));
}

/** Opens those entries that are sealed between these two; `own` is the key of either. Others are left out. */
export function openEntries(entries: readonly Uint8Array[], own: Agreement, parties: SharedBetween): Share[] {
  const key = keyBetween(own, parties);
  const data = dataOf(parties, "share");
  return entries.flatMap((sealed) => {
    let plaintext: Uint8Array;
    try {
      plaintext = openWith(key, data, sealed, "a share");
    } catch (error) {
      if (error instanceof RefusedError) return [];
      throw error;
    }
    return [shareRecord.decode(plaintext)];
  });
}

/** @param self the sharer */
export function sealReaders(readers: Reader[], own: Agreement, rootKey: Uint8Array, self: Party): Uint8Array {
  const parties = { rootKey, from: self, to: self };
  return sealWith(
    keyBetween(own, parties),
    randomNonce(),
    dataOf(parties, "readers"),
    readersRecord.encode({ readers }),
  );
}

/** @throws RefusedError where the sharer did not seal it */
export function openReaders(sealed: Uint8Array, own: Agreement, rootKey: Uint8Array, self: Party): Reader[] {
  const parties = { rootKey, from: self, to: self };
  const plaintext = openWith(keyBetween(own, parties), dataOf(parties, "readers"), sealed, "the list of your readers");
  return readersRecord.decode(plaintext).readers;
}
