/** Logging in to an instance with an identity's grant, which is fetched by itself. */
import type { NatsConnection, Status } from "@nats-io/transport-node";
import { connectBroker } from "../broker/connect.ts";
import { guestLogin } from "../broker/guest.ts";
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { AccessOverError, InstanceError } from "../errors.ts";
import { isoTime } from "../moment.ts";
import { checkGrantTime, checkNotExpired, type Grant, isRevokedNotice, openGrant } from "../trust/grant.ts";
import type { Identity } from "../trust/identity.ts";
import { formatRequest } from "../trust/request.ts";
import type { Instance } from "./home.ts";
import type { JoinLink } from "./link.ts";
import { NewestGrants } from "./newest.ts";

/** A logged-in identity. */
export interface Session {
  instance: Instance;
  link: JoinLink;
  identity: Identity;
  /** The newest that is known. */
  grant: Grant;
  nc: NatsConnection;
}

/** @throws RefusedError where the root did not sign it for exactly these keys */
function openOwnGrant(signed: Uint8Array, link: JoinLink, identity: Identity): Grant | undefined {
  const grant = openGrant(signed, link.rootKey);
  const same =
    grant.user === identity.user &&
    Buffer.compare(grant.signingKey, identity.signer.publicKey) === 0 &&
    Buffer.compare(grant.encryptionKey, identity.agreement.publicKey) === 0;
  return same ? grant : undefined;
}

/**
 * Fetches the grant as a guest; undefined where the owner has not granted yet.
 * @throws RefusedError where the root did not sign it, or it is older than one that was fetched before
 */
export async function fetchGrant(instance: Instance, identity: Identity): Promise<Grant | undefined> {
  const link = instance.link;
  const nc = await connectBroker(link, await guestLogin(link.guest, identity));
  try {
    const reader = await StreamReader.open(nc, IMPORTED_API);
    const stored = await reader.last(HUB_STREAMS.grants, subjectOf.grant(identity.user));
    if (stored === null) return undefined;
    const grant = openOwnGrant(stored.data, link, identity);
    if (grant !== undefined) new NewestGrants(instance, link.rootKey).open(stored.data);
    return grant;
  } finally {
    await nc.close();
  }
}

async function validGrant(instance: Instance, identity: Identity, fresh: boolean): Promise<Grant> {
  const cached = fresh ? undefined : instance.cachedGrant(identity.user);
  if (cached !== undefined) {
    const grant = openOwnGrant(cached, instance.link, identity);
    if (grant !== undefined && (grant.expiresMs === 0 || grant.expiresMs > Date.now())) return grant;
  }
  const grant = await fetchGrant(instance, identity);
  if (grant === undefined) {
    throw new InstanceError(
      `the owner of "${instance.name}" has not granted you access yet. Send them this request: ${formatRequest(identity)}`,
    );
  }
  if (isRevokedNotice(grant)) {
    throw new AccessOverError(
      "revoked",
      `your access to "${instance.name}" as "${grant.name}" was revoked on ${isoTime(grant.issuedMs)}. ` +
        `If that should not be, ask its owner to grant it again: humq grant ${formatRequest(identity)} ${grant.name}`,
    );
  }
  checkGrantTime(grant, Date.now());
  return grant;
}

export function loginOf({ userJwt: jwt, expiresMs }: Grant): { jwt: string; expiresMs: number } {
  return { jwt, expiresMs };
}

/**
 * Fetches the grant anew, for a session that the broker does not take any more.
 * @throws InstanceError where it was revoked, or is of another kind now; RefusedError where it has expired; BrokerError
 *   where the broker cannot be reached
 */
export async function renewGrant(session: Omit<Session, "nc">): Promise<Grant> {
  const { instance, identity, grant } = session;
  const next = await validGrant(instance, identity, true);
  if (next.account !== grant.account) {
    throw new InstanceError(
      `"${grant.name}" is granted as ${next.role} of ${next.datacenters.join(", ") || "all datacenters"} now, and was as ` +
        `${grant.role} of ${grant.datacenters.join(", ") || "all datacenters"}: start again`,
    );
  }
  session.grant = next;
  return next;
}

/**
 * Logs in. A cached grant that the broker no longer accepts is fetched anew once; so is one that runs out, or is changed,
 * while the session lasts.
 * @param datacenter log in as this datacenter, whose seed must be here, instead of as the person
 * @throws InstanceError where there is no identity or no grant; RefusedError where the grant has expired; BrokerError
 *   where the broker cannot be reached
 */
export async function openSession(
  instance: Instance,
  options: { datacenter?: string; onStatus?: (status: Status) => void; name?: string } = {},
): Promise<Session> {
  const { datacenter, onStatus } = options;
  const identity = instance.identity(datacenter);
  if (identity === undefined) {
    const keys = instance.datacenters();
    const others = keys.length === 0 ? "" : `, only the key of datacenter ${keys.join(", ")} for its workers`;
    throw new InstanceError(
      datacenter === undefined
        ? `you have no identity for "${instance.name}" here${others}. Make one: humq request LINK`
        : `this machine has no key of datacenter "${datacenter}". Make one: humq request LINK --datacenter ${datacenter}`,
    );
  }
  const link = instance.link;
  const logIn = async (grant: Grant): Promise<Session> => {
    const session: Omit<Session, "nc"> = { instance, link, identity, grant };
    const login = {
      ...loginOf(grant),
      key: identity.login,
      name: options.name ?? "humq",
      renew: async () => loginOf(await renewGrant(session)),
    };
    try {
      return Object.assign(session, { nc: await connectBroker(link, login, onStatus) });
    } catch (error) {
      // The server does not tell this reason from others.
      checkNotExpired(grant, Date.now());
      throw error;
    }
  };
  const wasCached = instance.cachedGrant(identity.user) !== undefined;
  const grant = await validGrant(instance, identity, false);
  try {
    return await logIn(grant);
  } catch (error) {
    if (!wasCached) throw error;
    const fresh = await validGrant(instance, identity, true);
    if (fresh.userJwt === grant.userJwt) throw error;
    return logIn(fresh);
  }
}

/** As the person or, where only a datacenter's key is here, as that datacenter; as {@link openSession}. */
export function openAnySession(instance: Instance, name: string): Promise<Session> {
  const [datacenter] = instance.datacenters();
  const asDatacenter = instance.identity() === undefined && datacenter !== undefined;
  return openSession(instance, asDatacenter ? { datacenter, name } : { name });
}
