/**
 * The revocation list: which grants count no more. Signed by the root, numbered, and good for a short time only, so that
 * an older one cannot pass for it and one that is held back is noticed.
 */
import { RefusedError } from "../errors.ts";
import { isoTime } from "../moment.ts";
import { CLOCK_TOLERANCE_MS, type Grant } from "./grant.ts";
import { KEY_BYTES, type Signer } from "./keys.ts";
import { fixed, list, recordType, struct, text, u64 } from "./record.ts";
import { openSigned, signRecord } from "./signed.ts";

/** Says of one identity which of its grants are void. */
export interface Revocation {
  /** The login's public nkey. */
  user: string;
  /** The name in the grant, for messages. */
  name: string;
  /** Every grant of `user` that was issued at this moment or before is void. Milliseconds since 1970. */
  beforeMs: number;
  /**
   * Tags that `user` made at this moment or before are refused, also after they were granted access again. 0 where a grant
   * was only changed. Milliseconds since 1970.
   */
  revokedMs: number;
}

export interface RevocationList {
  rootKey: Uint8Array;
  /** Each list has a higher one than those before it. */
  serial: number;
  /** Milliseconds since 1970. */
  issuedMs: number;
  /** Nobody may rely on it after this. Milliseconds since 1970. */
  validUntilMs: number;
  /** One for each user at most. */
  entries: Revocation[];
}

/** How long a list is good for unless it is renewed. */
export const LIST_VALID_MS = 7 * 24 * 60 * 60_000;

/** Whoever renews it by the clock does so this often at least: a renewal may fail, and there is time for another. */
export const LONGEST_PAUSE_MS = 3 * 24 * 60 * 60_000;

const revocationsRecord = recordType<RevocationList>("humq/revocations/1", {
  rootKey: fixed(KEY_BYTES),
  serial: u64,
  issuedMs: u64,
  validUntilMs: u64,
  entries: list(struct<Revocation>({ user: text, name: text, beforeMs: u64, revokedMs: u64 })),
});

export function signRevocations(revocations: RevocationList, root: Signer): Uint8Array {
  return signRecord(revocationsRecord, revocations, root);
}

/** @throws RefusedError where the root did not sign it for this instance; says nothing about its serial and its time */
export function openRevocations(signed: Uint8Array, rootKey: Uint8Array): RevocationList {
  const opened = openSigned(revocationsRecord, signed, rootKey, "the instance's root key");
  if (Buffer.compare(opened.rootKey, rootKey) !== 0)
    throw new RefusedError("the revocation list is for another instance");
  return opened;
}

/** @throws RefusedError where `next` is older than a list that was seen before */
export function checkSerial(next: RevocationList, seen: RevocationList | undefined): void {
  if (seen === undefined || next.serial >= seen.serial) return;
  throw new RefusedError(
    `a revocation list with serial ${next.serial} was put in place of serial ${seen.serial}, which was seen before: ` +
      "somebody replays an old list, or the broker was restored from a backup",
  );
}

/**
 * Whether a list may be relied on at `nowMs`, tolerating two minutes of skew.
 * @returns why not, as a sentence without its period; undefined where it may
 */
export function lackOfFreshness(revocations: RevocationList | undefined, nowMs: number): string | undefined {
  if (revocations === undefined) return "there is no signed revocation list of this instance";
  const { issuedMs, validUntilMs } = revocations;
  if (nowMs > validUntilMs + CLOCK_TOLERANCE_MS) {
    return `the revocation list was good until ${isoTime(validUntilMs)} and has not been renewed since`;
  }
  if (nowMs < issuedMs - CLOCK_TOLERANCE_MS) {
    return `the revocation list was signed at ${isoTime(issuedMs)}, but the clocks here and of the broker say ${isoTime(nowMs)}`;
  }
  return undefined;
}

/** What the list says of an identity; undefined where nothing. */
export function revocationOf(revocations: RevocationList | undefined, user: string): Revocation | undefined {
  return revocations?.entries.find((entry) => entry.user === user);
}

/**
 * @param entry what the list says of the grant's holder
 * @throws RefusedError where it makes the grant void
 */
export function checkNotRevoked(entry: Revocation | undefined, grant: Pick<Grant, "name" | "issuedMs">): void {
  if (entry === undefined || grant.issuedMs > entry.beforeMs) return;
  const { revokedMs, beforeMs } = entry;
  throw new RefusedError(
    revokedMs > 0
      ? `the grant of ${grant.name} was revoked on ${isoTime(revokedMs)}`
      : `the grant of ${grant.name} was replaced by one issued after ${isoTime(beforeMs)}`,
  );
}

/**
 * Why a tag is refused for good though its submitter was granted access again; undefined where it is not.
 * @param createdMs when it was made, as its submitter signed it
 */
export function refusalOf(entry: Revocation | undefined, name: string, createdMs: number): string | undefined {
  if (entry === undefined || createdMs > entry.revokedMs) return undefined;
  return (
    `the access of ${name} was revoked on ${isoTime(entry.revokedMs)}, and this was submitted before (${isoTime(createdMs)}). ` +
    "Submit it again"
  );
}

/**
 * Adds a revocation to those there are. What was said of the same user before stays true.
 * @returns the new entries, one for each user
 */
export function withRevocation(entries: readonly Revocation[], next: Revocation): Revocation[] {
  const before = entries.find(({ user }) => user === next.user);
  const merged = {
    ...next,
    beforeMs: Math.max(next.beforeMs, before?.beforeMs ?? 0),
    revokedMs: Math.max(next.revokedMs, before?.revokedMs ?? 0),
  };
  return [...entries.filter(({ user }) => user !== next.user), merged];
}

/**
 * The same for the broker: logins whose JWT was issued at this second or before are cut, and refused. NATS counts whole
 * seconds.
 * @returns seconds since 1970 by public nkey
 */
export function revokedLogins(
  revocations: RevocationList | undefined,
  users: readonly string[],
): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const user of users) {
    const entry = revocationOf(revocations, user);
    if (entry !== undefined) seconds[user] = Math.floor(entry.beforeMs / 1000);
  }
  return seconds;
}
