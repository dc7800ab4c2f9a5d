/** Grants and the directory of datacenters: what the root signs. */
import { AccessOverError, RefusedError, VersionError } from "../errors.ts";
import { isoTime } from "../moment.ts";
import { KEY_BYTES, type Signer } from "./keys.ts";
import { fixed, list, recordType, struct, text, u32, u64 } from "./record.ts";
import { openSigned, signRecord } from "./signed.ts";

export const ROLES = ["submitter", "worker", "admin"] as const;
/** What a grant lets its identity do. A `worker`'s identity is its datacenter's. */
export type Role = (typeof ROLES)[number];

export interface Grant {
  rootKey: Uint8Array;
  name: string;
  role: Role;
  /** Of a worker: its datacenter, one name. Of others: the datacenters that may serve it, none for all. */
  datacenters: string[];
  signingKey: Uint8Array;
  encryptionKey: Uint8Array;
  /** The login's public nkey. */
  user: string;
  /** The public nkey of the identity's NATS account. */
  account: string;
  /** Milliseconds since 1970. */
  issuedMs: number;
  /** Milliseconds since 1970; 0 for never. */
  expiresMs: number;
  /** The NATS user JWT with which the identity logs in; empty in the notice that takes a revoked grant's place. */
  userJwt: string;
}

/** Whether this is what stands in a revoked grant's place, so that its holder is told. */
export function isRevokedNotice(grant: Pick<Grant, "userJwt">): boolean {
  return grant.userJwt === "";
}

const grantRecord = recordType<Omit<Grant, "role"> & { role: string }>("humq/grant/1", {
  rootKey: fixed(KEY_BYTES),
  name: text,
  role: text,
  datacenters: list(text),
  signingKey: fixed(KEY_BYTES),
  encryptionKey: fixed(KEY_BYTES),
  user: text,
  account: text,
  issuedMs: u64,
  expiresMs: u64,
  userJwt: text,
});

export function signGrant(grant: Grant, root: Signer): Uint8Array {
  return signRecord(grantRecord, grant, root);
}

function isRole(role: string): role is Role {
  return (ROLES as readonly string[]).includes(role);
}

/** @throws RefusedError where the root did not sign it for this instance; says nothing about its expiry */
export function openGrant(signed: Uint8Array, rootKey: Uint8Array): Grant {
  const grant = openSigned(grantRecord, signed, rootKey, "the instance's root key");
  if (Buffer.compare(grant.rootKey, rootKey) !== 0) throw new RefusedError("the grant is for another instance");
  const { role } = grant;
  if (!isRole(role)) throw new RefusedError(`the grant of ${grant.name} has an unknown role ${JSON.stringify(role)}`);
  return { ...grant, role };
}

/** How far two clocks may be apart. */
export const CLOCK_TOLERANCE_MS = 2 * 60_000;

/** @throws RefusedError where the grant is over at `nowMs`; nothing is tolerated, as the server does */
export function checkNotExpired(grant: Pick<Grant, "name" | "expiresMs">, nowMs: number): void {
  const { name, expiresMs } = grant;
  if (expiresMs === 0 || nowMs <= expiresMs) return;
  throw new AccessOverError("expired", `the grant of ${name} expired on ${isoTime(expiresMs)}`);
}

/** @throws RefusedError where the grant is not valid at `nowMs`, tolerating two minutes of skew */
export function checkGrantTime(grant: Pick<Grant, "name" | "issuedMs" | "expiresMs">, nowMs: number): void {
  checkNotExpired(grant, nowMs - CLOCK_TOLERANCE_MS);
  if (nowMs < grant.issuedMs - CLOCK_TOLERANCE_MS) {
    throw new RefusedError(
      `the grant of ${grant.name} is valid from ${isoTime(grant.issuedMs)} on, but the clock here says ` +
        `${isoTime(nowMs)}. Set the clock.`,
    );
  }
}

/** A datacenter as submitters need to know it. */
export interface Datacenter {
  name: string;
  encryptionKey: Uint8Array;
  signingKey: Uint8Array;
}

export interface Directory {
  rootKey: Uint8Array;
  /** Milliseconds since 1970; a later directory replaces an earlier one. */
  issuedMs: number;
  /** What the instance speaks, see core/version.ts. */
  protocol: number;
  datacenters: Datacenter[];
}

const datacenters = list(
  struct<Datacenter>({ name: text, encryptionKey: fixed(KEY_BYTES), signingKey: fixed(KEY_BYTES) }),
);

const directoryRecord = recordType<Directory>("humq/directory/2", {
  rootKey: fixed(KEY_BYTES),
  issuedMs: u64,
  protocol: u32,
  datacenters,
});

/** Before there was a number. Still read, so that whoever meets such an instance is told, and its owner can update it. */
const oldDirectoryRecord = recordType<Omit<Directory, "protocol">>("humq/directory/1", {
  rootKey: fixed(KEY_BYTES),
  issuedMs: u64,
  datacenters,
});
const OLD_PROTOCOL = 1;

export function signDirectory(directory: Directory, root: Signer): Uint8Array {
  return signRecord(directoryRecord, directory, root);
}

function openAnyDirectory(signed: Uint8Array, rootKey: Uint8Array): Directory {
  const who = "the instance's root key";
  try {
    return openSigned(directoryRecord, signed, rootKey, who);
  } catch (error) {
    if (!(error instanceof VersionError) || error.found !== OLD_PROTOCOL) throw error;
    return { ...openSigned(oldDirectoryRecord, signed, rootKey, who), protocol: OLD_PROTOCOL };
  }
}

/** @throws RefusedError where the root did not sign it for this instance; VersionError where it is of a newer humq */
export function openDirectory(signed: Uint8Array, rootKey: Uint8Array): Directory {
  const directory = openAnyDirectory(signed, rootKey);
  if (Buffer.compare(directory.rootKey, rootKey) !== 0) throw new RefusedError("the directory is for another instance");
  return directory;
}
