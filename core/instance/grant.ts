/** Letting people and datacenters in. */
import { setTimeout as delay } from "node:timers/promises";
import { accountLabel, DEFAULT_QUOTA_BYTES, LEAST_QUOTA_BYTES, loginIssuedMs, loginJwt } from "../broker/accounts.ts";
import { isName, shortUser } from "../broker/names.ts";
import { formatDuration } from "../duration.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { formatMemory } from "../memory.ts";
import { isoTime } from "../moment.ts";
import { nearest } from "../suggest.ts";
import { type Grant, isRevokedNotice, ROLES, type Role } from "../trust/grant.ts";
import { type AccessRequest, parseRequest } from "../trust/request.ts";
import { revocationOf, revokedLogins } from "../trust/revocation.ts";
import { Admin } from "./admin.ts";
import { findInstance } from "./home.ts";
import { pushReaders, updateReaders } from "./people.ts";

export interface GrantOptions {
  /** Default: submitter. */
  role?: Role;
  /**
   * With role `worker`: the datacenter that the request's key stands for, default the grant's name.
   * Else: the datacenters that may serve the person, default all.
   */
  datacenters?: readonly string[];
  /** With role `worker`: the request is of a new key, in place of the one that the datacenter has. Default false. */
  newKey?: boolean;
  /** For how long, in milliseconds; default for ever. */
  expiresInMs?: number;
  /** Disk quota on the broker in bytes, at least 4 MiB. Default: what the person had, 50 GiB for a new one. */
  quotaBytes?: number;
}

function checkRole(role: string): asserts role is Role {
  if ((ROLES as readonly string[]).includes(role)) return;
  const hint = nearest(role, ROLES);
  throw new UsageError(
    `unknown role ${JSON.stringify(role)}: expected one of ${ROLES.join(", ")}${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
  );
}

function checkNames(name: string, datacenters: readonly string[]): void {
  for (const each of [name, ...datacenters]) {
    if (!isName(each)) {
      throw new UsageError(
        `a name has letters, digits, - and _ (at most 63, no - or _ in front), got ${JSON.stringify(each)}`,
      );
    }
  }
}

function checkExpiry(expiresInMs: number | undefined): void {
  if (expiresInMs === undefined || expiresInMs > 0) return;
  throw new UsageError("expires: expected more than 0; to take access back: humq revoke NAME");
}

function checkQuota(role: Role, quotaBytes: number | undefined): void {
  if (quotaBytes === undefined) return;
  if (role === "worker") {
    throw new UsageError(
      "a worker has no quota: what it stores counts against the quota of whoever submitted the call",
    );
  }
  if (quotaBytes < LEAST_QUOTA_BYTES) {
    throw new UsageError(
      `quota: expected at least ${formatMemory(LEAST_QUOTA_BYTES)}, got ${formatMemory(quotaBytes)}`,
    );
  }
}

/** Names that differ in their case only are one to many people, and one file on many systems. */
function isAlike(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Names and keys stand for one identity each. */
function checkFree(name: string, request: AccessRequest, grants: readonly Grant[]): void {
  for (const grant of grants) {
    // Who was revoked and comes back with a new identity keeps the name.
    if (grant.user !== request.user && grant.name === name && isRevokedNotice(grant)) continue;
    if (grant.user === request.user && grant.name !== name) {
      throw new InstanceError(
        `this request was granted before, as "${grant.name}". Renew it under that name: humq grant REQUEST ${grant.name}`,
      );
    }
    if (grant.user !== request.user && grant.name === name) {
      throw new InstanceError(`the name "${name}" is taken by another identity. Choose another name.`);
    }
    if (grant.user !== request.user && isAlike(grant.name, name)) {
      throw new InstanceError(
        `the name "${name}" is too much like "${grant.name}", which is taken. Choose another name.`,
      );
    }
    if (grant.user !== request.user && shortUser(grant.user) === shortUser(request.user)) {
      throw new InstanceError(
        `this request's key begins like that of "${grant.name}". Ask for a request with a new identity.`,
      );
    }
  }
}

/** A key that a datacenter had stays in what others seal for, and in what they share, unless it is taken out first. */
function checkSameKind(before: Grant | undefined, name: string, role: Role): void {
  if (before === undefined || isRevokedNotice(before) || (before.role === "worker") === (role === "worker")) return;
  throw new InstanceError(
    `"${name}" is granted as ${before.role}: a datacenter's key does not become a person's, nor a person's a datacenter's, while ` +
      `it is in force. Take it back first (humq revoke ${name}), or ask for a request with a new identity.`,
  );
}

function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** How long a new grant waits to be later than what it must not be covered by. */
const LATER_MOST_MS = 5_000;

/** When a grant and its login were issued, whichever is later: the login's time is in whole seconds. */
export function issuedOf(grant: Grant | undefined): number {
  if (grant === undefined) return 0;
  return isRevokedNotice(grant) ? grant.issuedMs : Math.max(grant.issuedMs, loginIssuedMs(grant.userJwt));
}

/**
 * Waits until a login that is issued now is not covered by what is said of those up to `beforeMs`; NATS counts whole seconds.
 * @throws InstanceError where that would take too long
 */
async function laterThan(beforeMs: number, name: string): Promise<void> {
  const waitMs = (Math.floor(beforeMs / 1000) + 1) * 1000 - Date.now();
  if (waitMs > LATER_MOST_MS) {
    throw new InstanceError(
      `${name} was granted or revoked last on ${isoTime(beforeMs)}, which is later than what the clock here says ` +
        `(${new Date().toISOString()}), so a grant made now would be void. Set the clock; else try again in ${formatDuration(waitMs)}.`,
    );
  }
  if (waitMs > 0) await delay(waitMs);
}

async function grantWorker(admin: Admin, grant: Grant, others: readonly Grant[], isNewKey: boolean): Promise<void> {
  const [name] = grant.datacenters;
  if (name === undefined || grant.datacenters.length !== 1) {
    throw new UsageError("a worker's grant names exactly one datacenter");
  }
  const holder = others.find(
    (other) => other.role === "worker" && other.datacenters[0] === name && !isRevokedNotice(other),
  );
  const directory = await admin.directory();
  const current = directory.datacenters.find((datacenter) => datacenter.name === name);
  const isCurrent = current !== undefined && sameKey(current.signingKey, grant.signingKey);
  if (holder !== undefined && !isCurrent && !isNewKey) {
    throw new InstanceError(
      `datacenter "${name}" has a key already (granted as "${holder.name}"). All its workers share that key: ` +
        "copy its .seed file to the new machine, or choose another datacenter name. Where this request is of a key " +
        "in place of that one: --new-key",
    );
  }
  if (current === undefined && isNewKey) {
    throw new InstanceError(`datacenter "${name}" has no key yet that this one could replace: leave out --new-key.`);
  }
  const like = directory.datacenters.find((other) => other.name !== name && isAlike(other.name, name));
  if (like !== undefined) {
    throw new InstanceError(`the datacenter name "${name}" is too much like "${like.name}". Choose another one.`);
  }
  await admin.pushDatacenterAccount(name, [...others, grant]);
  const { encryptionKey, signingKey } = grant;
  await admin.publishDirectory(directory, [
    ...directory.datacenters.filter((other) => other.name !== name && !sameKey(other.encryptionKey, encryptionKey)),
    { name, encryptionKey, signingKey },
  ]);
}

async function grantPerson(admin: Admin, grant: Grant, others: readonly Grant[], quotaBytes?: number): Promise<void> {
  const { datacenters } = await admin.directory();
  const known = datacenters.map((datacenter) => datacenter.name);
  for (const name of grant.datacenters) {
    if (known.includes(name)) continue;
    const hint = nearest(name, known);
    throw new UsageError(
      `there is no datacenter "${name}" (known: ${known.join(", ") || "none"})${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
    );
  }
  const grants = [...others, grant];
  // Made before anything is changed: one of them may be full.
  const accounts = await Promise.all(known.map((datacenter) => admin.datacenterAccount(datacenter, grants)));
  await admin.pushUserAccount(grant, quotaBytes ?? (await admin.quota(grant.user)) ?? DEFAULT_QUOTA_BYTES);
  await pushReaders(admin, grant, others);
  for (const account of accounts) await admin.pushAccount(account);
}

/** With an open {@link Admin}; see {@link grantAccess}. */
export function grantWith(admin: Admin, request: string, name: string, options: GrantOptions = {}): Promise<Grant> {
  return admin.exclusive(() => grant(admin, request, name, options));
}

async function grant(admin: Admin, request: string, name: string, options: GrantOptions): Promise<Grant> {
  const role = options.role ?? "submitter";
  checkRole(role);
  checkQuota(role, options.quotaBytes);
  checkExpiry(options.expiresInMs);
  if (options.newKey === true && role !== "worker") {
    throw new UsageError("--new-key is for the new key of a datacenter: it goes with --role worker");
  }
  const parsed = parseRequest(request);
  const datacenters = [...(options.datacenters ?? (role === "worker" ? [name] : []))];
  checkNames(name, datacenters);
  const grants = await admin.grants();
  checkFree(name, parsed, grants);
  const before = grants.find((other) => other.user === parsed.user);
  checkSameKind(before, name, role);
  await admin.checkClock();
  const list = await admin.revocations.publish();
  await laterThan(Math.max(issuedOf(before), revocationOf(list, parsed.user)?.beforeMs ?? 0), name);
  const label = role === "worker" ? accountLabel.datacenter(datacenters[0] ?? name) : accountLabel.user(parsed.user);
  const issuedMs = Date.now();
  const expiresMs = options.expiresInMs === undefined ? 0 : issuedMs + options.expiresInMs;
  const login = { user: parsed.user, name, label, expiresMs };
  const userJwt = await loginJwt(
    admin.root,
    role === "worker" ? { ...login, datacenter: datacenters[0] ?? name } : login,
  );
  const account = admin.root.account(label).getPublicKey();
  const granted: Grant = {
    ...parsed,
    rootKey: admin.root.publicKey,
    name,
    role,
    datacenters,
    account,
    issuedMs,
    expiresMs,
    userJwt,
  };
  const others = grants.filter((other) => other.user !== granted.user);
  if (role === "worker") await grantWorker(admin, granted, others, options.newKey === true);
  else await grantPerson(admin, granted, others, options.quotaBytes);
  const narrowed = before !== undefined && isNarrower(granted, before) ? before : undefined;
  // First: said after the new grant it would never be said again, were this interrupted between the two.
  if (narrowed !== undefined) {
    await admin.revocations.publish([{ user: parsed.user, name, beforeMs: issuedOf(narrowed), revokedMs: 0 }]);
  }
  await admin.publishGrant(granted);
  if (before !== undefined && isRevokedNotice(before) && role !== "worker")
    await updateReaders(admin, [...others, granted]);
  if (narrowed !== undefined) await cutLogin(admin, narrowed);
  return granted;
}

/** Whether the new grant takes away something that the one before gave. */
function isNarrower(next: Grant, before: Grant): boolean {
  if (isRevokedNotice(before)) return false;
  const lessTime = next.expiresMs !== 0 && (before.expiresMs === 0 || before.expiresMs > next.expiresMs);
  const was = before.datacenters;
  const lessPlaces =
    next.datacenters.length > 0 && (was.length === 0 || was.some((name) => !next.datacenters.includes(name)));
  return lessTime || lessPlaces || next.role !== before.role;
}

/** The login of the grant before is void as the grant is: its holder logs in again with the new one, by itself. */
async function cutLogin(admin: Admin, { user, name, role, datacenters }: Grant): Promise<void> {
  const label = role === "worker" ? accountLabel.datacenter(datacenters[0] ?? name) : accountLabel.user(user);
  await admin.pushRevocation(label, revokedLogins(await admin.revocations.current(), [user]));
}

/**
 * Lets the holder of a request in, at once and without a restart: accounts, quota, streams, then the signed grant.
 * Granting again under the same name renews or changes the grant.
 * @param request what `humq request` printed: `ADD-USER_...`
 * @param name the person's name, or the worker's
 * @throws UsageError where request, name, role or datacenter are not valid; InstanceError where the name is taken
 *   or the root key is not here
 */
export async function grantAccess(
  request: string,
  name: string,
  options: GrantOptions & { instance?: string } = {},
): Promise<Grant> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    return await grantWith(admin, request, name, options);
  } finally {
    await admin.close();
  }
}

/** All grants of an instance by name, each checked against the root key. Needs the root key. */
export async function listGrants(options: { instance?: string } = {}): Promise<Grant[]> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    return (await admin.grants()).sort((a, b) => a.name.localeCompare(b.name));
  } finally {
    await admin.close();
  }
}

/** The disk quotas in bytes of the holders of `grants`, by user; workers have none. Needs the root key. */
export async function quotasOf(
  grants: readonly Grant[],
  options: { instance?: string } = {},
): Promise<Map<string, number>> {
  const admin = Admin.open(findInstance(options.instance));
  try {
    const people = grants.filter(({ role }) => role !== "worker");
    const quotas = await Promise.all(people.map(async ({ user }) => [user, await admin.quota(user)] as const));
    return new Map(quotas.filter((each): each is readonly [string, number] => each[1] !== undefined));
  } finally {
    await admin.close();
  }
}
