/** What the owner of the root key does: accounts, grants, the directory of datacenters. */
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { createUser } from "@nats-io/nkeys";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  accountLabel,
  datacenterAccountJwt,
  loginJwt,
  quotaIn,
  type RevokedLogins,
  revokeInAccount,
  userAccountJwt,
} from "../broker/accounts.ts";
import { clocksApart, serverTimeMs } from "../broker/clock.ts";
import { type Broker, connectBroker } from "../broker/connect.ts";
import { HUB_STREAMS, subjectOf } from "../broker/names.ts";
import { publish } from "../broker/publish.ts";
import { StreamReader } from "../broker/read.ts";
import { createUserStreams, replicasOf } from "../broker/streams.ts";
import { BrokerError, InstanceError, VersionError } from "../errors.ts";
import {
  type Datacenter,
  type Directory,
  type Grant,
  isRevokedNotice,
  signDirectory,
  signGrant,
} from "../trust/grant.ts";
import type { Root } from "../trust/identity.ts";
import type { KeyPair } from "../trust/nkeys.ts";
import { signPerson } from "../trust/person.ts";
import { type RevocationList, revocationOf, revokedLogins } from "../trust/revocation.ts";
import { PROTOCOL } from "../version.ts";
import type { Instance } from "./home.ts";
import { NewestGrants, newestDirectory } from "./newest.ts";
import { checkInstance } from "./protocol.ts";
import { RENEW_AFTER_MS, RevocationStore } from "./revocations.ts";
import { withLock } from "./server/lock.ts";

/** The server takes no larger account, whatever `max_payload` says (nats-server 2.15.2: "token too large"). */
const MOST_TOKEN_BYTES = 2 ** 20;

/** A server that is busy takes seconds for an account that imports from hundreds of others. */
const PUSH_TIMEOUT_MS = 60_000;

/** Logins of the owner last for one command. */
const LOGIN_MS = 10 * 60_000;

export class Admin {
  readonly root: Root;
  /** The revocation list. */
  readonly revocations: RevocationStore;
  readonly #broker: Broker;
  readonly #lockPath: string;
  readonly #instance: Instance;
  #system: Promise<NatsConnection> | undefined;
  #hub: Promise<NatsConnection> | undefined;

  private constructor(instance: Instance, root: Root) {
    this.root = root;
    this.#instance = instance;
    this.#lockPath = join(instance.folder, "admin.lock");
    this.#broker = instance.link;
    this.revocations = new RevocationStore(instance, root, () => this.hub);
  }

  /** @throws InstanceError where this machine has no root key, or one of another instance */
  static open(instance: Instance): Admin {
    const { link } = instance;
    const root = instance.root();
    if (root === undefined) {
      throw new InstanceError(
        `only the owner of "${instance.name}" can do this: its root key is not here (expected ${instance.rootPath})`,
      );
    }
    if (Buffer.compare(root.publicKey, link.rootKey) !== 0) {
      throw new InstanceError(
        `the root key in ${instance.rootPath} does not belong to "${instance.name}". Put the right key there, or name another --instance.`,
      );
    }
    return new Admin(instance, root);
  }

  /** Signs and publishes the next revocation list, which revokes what the one before did. */
  renew(): Promise<RevocationList> {
    return this.exclusive(() => this.revocations.publish());
  }

  /** @returns the next list where the one before was an hour old */
  async renewIfDue(): Promise<RevocationList | undefined> {
    const { issuedMs = 0 } = (await this.revocations.current()) ?? {};
    return Math.abs(Date.now() - issuedMs) < RENEW_AFTER_MS ? undefined : this.renew();
  }

  /** Changes to who may do what come one after the other: accounts are rebuilt from all grants there are. */
  exclusive<T>(action: () => Promise<T>): Promise<T> {
    return withLock(this.#lockPath, action);
  }

  /** A login of the owner's to one of the instance's accounts, with a key made for it. */
  async credentials(label: string, forMs: number): Promise<{ jwt: string; key: KeyPair }> {
    const key = createUser();
    const user = key.getPublicKey();
    return { jwt: await loginJwt(this.root, { user, name: "owner", label, expiresMs: Date.now() + forMs }), key };
  }

  async login(label: string): Promise<NatsConnection> {
    const { jwt, key } = await this.credentials(label, LOGIN_MS);
    return connectBroker(this.#broker, { jwt, key, name: `humq owner (${label.split("/")[0]})` });
  }

  get #systemConnection(): Promise<NatsConnection> {
    this.#system ??= this.login(accountLabel.system);
    return this.#system;
  }

  get hub(): Promise<NatsConnection> {
    this.#hub ??= this.login(accountLabel.hub);
    return this.#hub;
  }

  /**
   * What is signed here is valid by the clock.
   * @throws InstanceError where this machine's and the broker's are more than two minutes apart
   */
  async checkClock(): Promise<void> {
    const manager = await jetstreamManager(await this.hub, { checkAPI: false });
    const serverMs = await serverTimeMs(manager, HUB_STREAMS.grants);
    const apart = serverMs === undefined ? undefined : clocksApart(Date.now(), serverMs);
    if (apart !== undefined) throw new InstanceError(`${apart}. Set the clocks (NTP): grants are valid by the clock.`);
  }

  /** Gives the running server a new or changed account; no restart. */
  async pushAccount(accountJwt: string): Promise<void> {
    const nc = await this.#systemConnection;
    const reply = await nc.request("$SYS.REQ.CLAIMS.UPDATE", accountJwt, { timeout: PUSH_TIMEOUT_MS });
    const answer = reply.json<{ error?: { description?: string } }>();
    if (answer.error !== undefined) {
      throw new BrokerError(`the broker did not take an account: ${answer.error.description ?? "no reason given"}`);
    }
  }

  /** A user's disk quota in bytes, as the broker's account for them says; undefined where there is none yet. */
  async quota(user: string): Promise<number | undefined> {
    const nc = await this.#systemConnection;
    const account = this.root.account(accountLabel.user(user)).getPublicKey();
    const token = await nc.request(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`, "", { timeout: 10_000 });
    return token.data.length === 0 ? undefined : quotaIn(token.string(), this.root);
  }

  async pushUserAccount(grant: Pick<Grant, "user" | "name" | "role">, quotaBytes: number): Promise<void> {
    const revoked = revokedLogins(await this.revocations.current(), [grant.user]);
    const token = await userAccountJwt(this.root, grant, quotaBytes, revoked);
    const isLess = quotaBytes < ((await this.quota(grant.user)) ?? 0);
    // Streams reserve their part: what is there must fit into the account before and after.
    if (!isLess) await this.pushAccount(token);
    const replicas = await replicasOf(await this.hub);
    const nc = await this.login(accountLabel.user(grant.user));
    try {
      await retryWhileStarting(() => createUserStreams(nc, grant.user, quotaBytes, replicas));
    } finally {
      await nc.close();
    }
    if (isLess) await this.pushAccount(token);
  }

  /** Tells the broker which logins an account does not let in any more; connections that they have are cut. */
  async pushRevocation(label: string, revoked: RevokedLogins): Promise<void> {
    const nc = await this.#systemConnection;
    const account = this.root.account(label).getPublicKey();
    const reply = await nc.request(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`, "", { timeout: 10_000 });
    // Nobody logs in to an account that the broker does not have.
    if (reply.data.length > 0) await this.pushAccount(await revokeInAccount(this.root, reply.string(), revoked));
  }

  /**
   * A datacenter's account, made from the grants, so that it serves exactly whom it may serve.
   * @throws InstanceError where these are more than an account can hold
   */
  async datacenterAccount(name: string, grants: readonly Grant[]): Promise<string> {
    const revocations = await this.revocations.current();
    const workers = grants.filter((grant) => grant.role === "worker" && grant.datacenters[0] === name);
    const isServed = workers.some((worker) => isInForce(worker, revocations));
    const served = isServed ? grants.filter((grant) => serves(grant, name) && isInForce(grant, revocations)) : [];
    const users = served.map((grant) => grant.user);
    const revoked = revokedLogins(
      revocations,
      workers.map(({ user }) => user),
    );
    const token = await datacenterAccountJwt(this.root, name, users, revoked);
    if (token.length <= MOST_TOKEN_BYTES) return token;
    throw new InstanceError(
      `datacenter "${name}" would serve ${users.length} people, and its account has room for about ` +
        `${Math.floor((users.length * MOST_TOKEN_BYTES) / token.length)}. Nothing was changed. Let several datacenters share ` +
        "them: name those that serve a person with humq grant REQUEST NAME --datacenter D.",
    );
  }

  /** Rebuilds a datacenter's account and gives it to the server. */
  async pushDatacenterAccount(name: string, grants: readonly Grant[]): Promise<void> {
    await this.pushAccount(await this.datacenterAccount(name, grants));
  }

  /** All grants, each checked; in the place of one that the broker altered or put back the owner's own copy counts. */
  async grants(): Promise<Grant[]> {
    const reader = await StreamReader.open(await this.hub);
    const newest = new NewestGrants(this.#instance, this.root.publicKey);
    const grants: Grant[] = [];
    for await (const { subject, data } of reader.all(HUB_STREAMS.grants, subjectOf.grant("*"))) {
      const grant = newest.inForce(subject.slice(subjectOf.grant("").length), data);
      if (grant !== undefined) grants.push(grant);
    }
    return grants;
  }

  async publishGrant(grant: Grant): Promise<void> {
    const data = signGrant(grant, this.root.signer);
    await publish(await this.hub, { subject: subjectOf.grant(grant.user), data });
    this.#instance.cacheGrant(grant.user, data);
    if (grant.role !== "worker") await this.publishPerson(grant);
  }

  /** Whose keys the name stands for, for others to share with. */
  async publishPerson(grant: Grant): Promise<void> {
    const { name, signingKey, encryptionKey, user, issuedMs, expiresMs } = grant;
    const { publicKey: rootKey, signer } = this.root;
    const readers = isRevokedNotice(grant) ? "" : this.root.account(accountLabel.readers(user)).getPublicKey();
    const person = { rootKey, name, signingKey, encryptionKey, user, readers, issuedMs, expiresMs };
    await publish(await this.hub, { subject: subjectOf.person(name), data: signPerson(person, signer) });
  }

  async directory(): Promise<Directory> {
    return directoryOf(await this.hub, this.root, this.#instance);
  }

  /** In place of `before`, and with the protocol that is spoken here. */
  async publishDirectory(before: Directory, datacenters: Datacenter[]): Promise<void> {
    const issuedMs = Math.max(Date.now(), before.issuedMs + 1);
    const directory = { rootKey: this.root.publicKey, issuedMs, protocol: PROTOCOL, datacenters };
    const data = signDirectory(directory, this.root.signer);
    await publish(await this.hub, { subject: subjectOf.directory(), data });
    this.#instance.saveDirectory(data);
  }

  /**
   * An older humq must not take an instance back that a newer one has updated. A new instance has no hub to ask.
   * @throws VersionError where the instance speaks something newer
   */
  async refuseNewer(name: string): Promise<void> {
    const hub = await this.login(accountLabel.hub).catch(() => undefined);
    if (hub === undefined) return;
    try {
      const directory = await directoryOf(hub, this.root, this.#instance).catch((error: unknown) => {
        if (error instanceof VersionError) throw error;
        return undefined;
      });
      if (directory !== undefined && directory.protocol > PROTOCOL) checkInstance(directory, name);
    } finally {
      await hub.close();
    }
  }

  /** Says in the directory what is spoken here, where it says something else; puts the newest back where the broker lost it. */
  async announceProtocol(): Promise<void> {
    const directory = await this.directory();
    const newest = this.#instance.savedDirectory();
    const stored = await storedDirectory(await this.hub);
    const isThere = newest === undefined || (stored !== undefined && Buffer.compare(stored, newest) === 0);
    if (directory.protocol !== PROTOCOL || !isThere) await this.publishDirectory(directory, directory.datacenters);
  }

  async close(): Promise<void> {
    for (const connection of [this.#system, this.#hub])
      await connection?.then((nc) => nc.close()).catch(() => undefined);
  }
}

async function storedDirectory(hub: NatsConnection): Promise<Uint8Array | undefined> {
  const reader = await StreamReader.open(hub);
  return (await reader.last(HUB_STREAMS.grants, subjectOf.directory()))?.data;
}

/** What the broker holds, or a newer one that was seen here: an older one that it puts back is not signed anew. */
async function directoryOf(hub: NatsConnection, { publicKey: rootKey }: Root, instance: Instance): Promise<Directory> {
  const newest = newestDirectory(instance, rootKey, await storedDirectory(hub));
  return newest ?? { rootKey, issuedMs: 0, protocol: PROTOCOL, datacenters: [] };
}

/** Whether datacenter `name` may serve the holder of `grant`. */
export function serves(grant: Grant, name: string): boolean {
  return grant.role !== "worker" && (grant.datacenters.length === 0 || grant.datacenters.includes(name));
}

/** Whether a grant was not revoked, nor replaced by a narrower one. */
export function isInForce(grant: Grant, revocations: RevocationList | undefined): boolean {
  if (isRevokedNotice(grant)) return false;
  const entry = revocationOf(revocations, grant.user);
  return entry === undefined || grant.issuedMs > entry.beforeMs;
}

const STARTING_RETRIES = 100;
const STARTING_WAIT_MS = 20;

/** A new account's JetStream needs a moment; until then the server says that it is not enabled. */
export async function retryWhileStarting(action: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      const starting = error instanceof Error && /not enabled|no responders/i.test(error.message);
      if (!starting || attempt === STARTING_RETRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, STARTING_WAIT_MS));
    }
  }
}
