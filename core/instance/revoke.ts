/** Taking access back, and keeping the revocation list fresh. */
import { accountLabel, type RevokedLogins } from "../broker/accounts.ts";
import { InstanceError } from "../errors.ts";
import { nearest } from "../suggest.ts";
import { type Grant, isRevokedNotice } from "../trust/grant.ts";
import { revocationOf, revokedLogins } from "../trust/revocation.ts";
import { Admin, isInForce } from "./admin.ts";
import { issuedOf } from "./grant.ts";
import { findInstance } from "./home.ts";
import { updateReaders } from "./people.ts";

/** @throws InstanceError where nobody was granted access under that name */
function find(grants: readonly Grant[], name: string): Grant {
  const named = grants.filter((grant) => grant.name === name);
  // A name may have gone on to a new identity of the same person.
  const found = named.find((grant) => !isRevokedNotice(grant)) ?? named[0];
  if (found !== undefined) return found;
  const known = grants.filter((grant) => !isRevokedNotice(grant)).map((grant) => grant.name);
  const hint = nearest(name, known);
  throw new InstanceError(
    `nobody is granted access as ${JSON.stringify(name)} (known: ${known.join(", ") || "none"})${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
  );
}

/** A datacenter that nobody may serve for is not offered to submitters any more, and serves nobody. */
async function revokeDatacenter(admin: Admin, grant: Grant, grants: readonly Grant[]): Promise<void> {
  const name = grant.datacenters[0] ?? grant.name;
  await admin.pushDatacenterAccount(name, grants);
  const directory = await admin.directory();
  const others = directory.datacenters.filter(({ signingKey }) => Buffer.compare(signingKey, grant.signingKey) !== 0);
  if (others.length < directory.datacenters.length) await admin.publishDirectory(directory, others);
}

async function revokePerson(
  admin: Admin,
  grant: Grant,
  grants: readonly Grant[],
  logins: RevokedLogins,
): Promise<void> {
  await admin.pushRevocation(accountLabel.user(grant.user), logins);
  for (const { name } of (await admin.directory()).datacenters) await admin.pushDatacenterAccount(name, grants);
}

export type AccessState = "valid" | "expired" | "revoked" | "not-yet";

/** A grant, and what it is worth now. */
export interface Access {
  grant: Grant;
  state: AccessState;
  /** When it was revoked, in milliseconds since 1970; 0 where it was not. */
  revokedMs: number;
}

function stateOf(grant: Grant, isValid: boolean, nowMs: number): AccessState {
  if (!isValid) return "revoked";
  if (grant.expiresMs !== 0 && grant.expiresMs < nowMs) return "expired";
  return grant.issuedMs > nowMs ? "not-yet" : "valid";
}

/** All grants of an instance by name, those that are over included. Needs the root key. */
export async function listAccess(options: { instance?: string } = {}): Promise<Access[]> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    const revocations = (await admin.renewIfDue()) ?? (await admin.revocations.current());
    const nowMs = Date.now();
    const access = (await admin.grants()).map((grant) => {
      const state = stateOf(grant, isInForce(grant, revocations), nowMs);
      const revokedMs = state === "revoked" ? (revocationOf(revocations, grant.user)?.revokedMs ?? 0) : 0;
      return { grant, state, revokedMs };
    });
    return access.sort((a, b) => a.grant.name.localeCompare(b.grant.name));
  } finally {
    await admin.close();
  }
}

/**
 * The grant that stands under a name, also one that is over: its keys are those of the request. Needs the root key.
 * @throws InstanceError where nobody was granted access under that name
 */
export async function grantOf(name: string, options: { instance?: string } = {}): Promise<Grant> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    return find(await admin.grants(), name);
  } finally {
    await admin.close();
  }
}

/** With an open {@link Admin}; see {@link revokeAccess}. */
export function revokeWith(admin: Admin, name: string): Promise<Grant> {
  return admin.exclusive(async () => {
    const grants = await admin.grants();
    const grant = find(grants, name);
    const nowMs = Date.now();
    const entry = { user: grant.user, name, beforeMs: Math.max(nowMs, issuedOf(grant)), revokedMs: nowMs };
    // Said again it is done again: what was interrupted is finished, and nothing is added.
    const list = await admin.revocations.publish(isRevokedNotice(grant) ? [] : [entry]);
    const logins = revokedLogins(list, [grant.user]);
    if (grant.role === "worker") await revokeDatacenter(admin, grant, grants);
    else await revokePerson(admin, grant, grants, logins);
    const isOut = isRevokedNotice(grant);
    const notice = isOut ? grant : { ...grant, issuedMs: entry.beforeMs, expiresMs: entry.revokedMs, userJwt: "" };
    if (!isOut) await admin.publishGrant(notice);
    if (grant.role !== "worker") {
      await updateReaders(
        admin,
        grants.map((each) => (each === grant ? notice : each)),
      );
    }
    return notice;
  });
}

/**
 * Takes the access of a person or of a datacenter back, at once: what they are connected with is cut, their logins and
 * grants are void, their calls are not run any more. What they stored stays. They can be granted access again.
 * @param name as in the grant
 * @returns what stands in the grant's place; its `expiresMs` is when it was revoked
 * @throws InstanceError where nobody has that name, or the root key is not here
 */
export async function revokeAccess(name: string, options: { instance?: string } = {}): Promise<Grant> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    return await revokeWith(admin, name);
  } finally {
    await admin.close();
  }
}
