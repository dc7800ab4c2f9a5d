import { describe, expect, test } from "vitest";
import { RefusedError } from "../../core/errors.ts";
import {
  checkNotRevoked,
  checkSerial,
  LIST_VALID_MS,
  lackOfFreshness,
  openRevocations,
  type RevocationList,
  refusalOf,
  revokedLogins,
  signRevocations,
  withRevocation,
} from "../../core/trust/revocation.ts";
import { alice, alterations, bob, grant, otherRoot, root } from "../support/trust.ts";

const ISSUED_MS = 1_763_700_000_000;
const REVOKED_MS = 1_763_650_000_999;
const entry = { user: alice.user, name: "alice", beforeMs: REVOKED_MS, revokedMs: REVOKED_MS };
const list: RevocationList = {
  rootKey: root.publicKey,
  serial: 7,
  issuedMs: ISSUED_MS,
  validUntilMs: ISSUED_MS + LIST_VALID_MS,
  entries: [entry],
};
const signed = signRevocations(list, root.signer);

describe("a revocation list", () => {
  test("comes back as it was signed", () => {
    const { rootKey, ...rest } = openRevocations(signed, root.publicKey);
    expect({ ...rest, rootKey: Uint8Array.from(rootKey) }).toEqual(list);
  });

  test("altered in any way, or signed by another root, is refused", () => {
    for (const { how, bytes } of alterations(signed)) {
      expect(() => openRevocations(bytes, root.publicKey), how).toThrow(RefusedError);
    }
    expect(() => openRevocations(signRevocations(list, otherRoot.signer), root.publicKey)).toThrow(
      new RefusedError("humq/revocations/1: the signature is not by the instance's root key"),
    );
    const foreign = signRevocations({ ...list, rootKey: otherRoot.publicKey }, root.signer);
    expect(() => openRevocations(foreign, root.publicKey)).toThrow("the revocation list is for another instance");
  });

  test("is older by its serial, whatever its time says", () => {
    expect(() => checkSerial(list, undefined)).not.toThrow();
    expect(() => checkSerial(list, list)).not.toThrow();
    const later = { ...list, serial: 6, issuedMs: ISSUED_MS + 1000 };
    expect(() => checkSerial(later, list)).toThrow("with serial 6 was put in place of serial 7");
  });

  test("is good from its signing to its end, with two minutes for clocks that differ", () => {
    const { validUntilMs } = list;
    for (const nowMs of [ISSUED_MS - 120_000, ISSUED_MS, validUntilMs, validUntilMs + 120_000]) {
      expect(lackOfFreshness(list, nowMs)).toBeUndefined();
    }
    expect(lackOfFreshness(list, validUntilMs + 120_001)).toMatch(/^the revocation list was good until 2025-11-28/);
    expect(lackOfFreshness(list, ISSUED_MS - 120_001)).toMatch(/^the revocation list was signed at 2025-11-21.*but/);
    expect(lackOfFreshness(undefined, ISSUED_MS)).toBe("there is no signed revocation list of this instance");
  });
});

describe("an entry", () => {
  test("voids grants up to its moment, and none after", () => {
    expect(() => checkNotRevoked(entry, { ...grant, issuedMs: REVOKED_MS })).toThrow(/was revoked on 2025-11-20/);
    expect(() => checkNotRevoked({ ...entry, revokedMs: 0 }, { ...grant, issuedMs: 1 })).toThrow(/was replaced by one/);
    expect(() => checkNotRevoked(entry, { ...grant, issuedMs: REVOKED_MS + 1 })).not.toThrow();
    expect(() => checkNotRevoked(undefined, grant)).not.toThrow();
  });

  test("refuses what was submitted up to the revocation; that of a changed grant refuses nothing", () => {
    expect(refusalOf(entry, "alice", REVOKED_MS)).toMatch(/^the access of alice was revoked .* Submit it again$/);
    expect(refusalOf(entry, "alice", REVOKED_MS + 1)).toBeUndefined();
    expect(refusalOf({ ...entry, revokedMs: 0 }, "alice", 1)).toBeUndefined();
  });

  test("takes nothing back that was said of the same user before", () => {
    const changed = { ...entry, beforeMs: REVOKED_MS + 5000, revokedMs: 0 };
    expect(withRevocation([entry], changed)).toEqual([{ ...changed, revokedMs: REVOKED_MS }]);
    expect(withRevocation([entry], { ...entry, beforeMs: 1, revokedMs: 1 })).toEqual([entry]);
    const other = { ...entry, user: bob.user, name: "bob" };
    expect(withRevocation([entry], other)).toEqual([entry, other]);
  });

  test("is told to the broker in whole seconds", () => {
    expect(revokedLogins(list, [alice.user, bob.user])).toEqual({ [alice.user]: 1_763_650_000 });
  });
});
