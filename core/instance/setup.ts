/** Making a new instance: keys, link and the first accounts. */
import { randomBytes } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { accountLabel, guestAccountJwt, hubAccountJwt, operatorJwt, systemAccountJwt } from "../broker/accounts.ts";
import { guestCredential } from "../broker/guest.ts";
import { isName } from "../broker/names.ts";
import { createHubStreams } from "../broker/streams.ts";
import { InstanceError } from "../errors.ts";
import { newSeed, type Root, rootFromSeed } from "../trust/identity.ts";
import { formatRequest } from "../trust/request.ts";
import { Admin, retryWhileStarting } from "./admin.ts";
import { nextKey, useNextKey } from "./datacenter-keys.ts";
import { makePrivateFolder } from "./files.ts";
import { grantWith } from "./grant.ts";
import { adoptDefault, Instance } from "./home.ts";
import { updatePeople } from "./people.ts";
import { regrantAll } from "./regrant.ts";
import { writeRoot } from "./root-key.ts";

/** What a server configuration needs to know of an instance. */
export interface OperatorConfig {
  operatorJwt: string;
  systemAccount: { publicKey: string; jwt: string };
}

export async function operatorConfig(root: Root, name: string): Promise<OperatorConfig> {
  const publicKey = root.account(accountLabel.system).getPublicKey();
  return {
    operatorJwt: await operatorJwt(root, name),
    systemAccount: { publicKey, jwt: await systemAccountJwt(root) },
  };
}

/**
 * Writes root key, the owner's identity and the join link of a new instance, all of it or nothing.
 * @param servers where it will be reached: `nats://HOST:PORT`
 * @param passphrase protects the root key; default: none
 * @throws InstanceError where an instance of that name is here already
 */
export async function createInstance(name: string, servers: string[], passphrase?: string): Promise<Instance> {
  const instance = new Instance(name);
  if (instance.exists || existsSync(instance.folder)) {
    throw new InstanceError(
      `there is an instance "${name}" here already (${instance.folder}). Choose another name: --instance NAME`,
    );
  }
  const building = new Instance(`${name.slice(0, 50)}-new-${randomBytes(4).toString("hex")}`);
  try {
    makePrivateFolder(building.folder);
    const seed = newSeed();
    const root = rootFromSeed(seed);
    writeRoot(building.rootPath, seed, passphrase);
    building.ensureIdentity();
    building.saveLink({
      name,
      servers,
      rootKey: root.publicKey,
      guest: guestCredential(root),
    });
    renameSync(building.folder, instance.folder);
  } catch (error) {
    rmSync(building.folder, { recursive: true, force: true });
    throw error;
  }
  adoptDefault(name);
  return instance;
}

/** The owner's name on this machine, fit for a grant. */
function ownerName(): string {
  try {
    const { username } = userInfo();
    return isName(username) ? username : "owner";
  } catch {
    // An account without an entry in passwd, as containers give them.
    return "owner";
  }
}

/** The link that is here may be one of an older humq. */
function updateLink(admin: Admin, instance: Instance): void {
  const { link } = instance;
  const guest = guestCredential(admin.root);
  if (link.guest !== guest) instance.saveLink({ ...link, guest });
}

async function updateHub(admin: Admin, instance: Instance): Promise<void> {
  await admin.refuseNewer(instance.name);
  updateLink(admin, instance);
  await admin.pushAccount(await hubAccountJwt(admin.root));
  await admin.pushAccount(await guestAccountJwt(admin.root));
  const hub = await admin.hub;
  await retryWhileStarting(() => createHubStreams(hub));
  await updatePeople(admin);
  await admin.announceProtocol();
  await admin.renew();
}

/**
 * Brings the running server of an instance that was set up before to what this version of humq needs.
 * @throws VersionError where it was updated to a newer one
 */
export async function updateBroker(instance: Instance): Promise<void> {
  const admin = Admin.open(instance);
  try {
    await updateHub(admin, instance);
  } finally {
    await admin.close();
  }
}

/**
 * Brings a running server to what the instance needs: hub, guest account, streams, the owner's own grant and
 * the first datacenter. Everything is repeated at each start, so a half-made instance is finished.
 * @param datacenter name of the first datacenter, whose key is made on this machine
 */
export async function prepareBroker(instance: Instance, datacenter: string): Promise<void> {
  const admin = Admin.open(instance);
  try {
    await updateHub(admin, instance);
    await regrantAll(admin, instance);
    const granted = new Set((await admin.grants()).map((grant) => grant.user));
    const next = nextKey(instance, datacenter);
    if (next !== undefined && granted.has(next.user)) useNextKey(instance, datacenter);
    const local = instance.ensureIdentity(datacenter);
    if (!granted.has(local.user)) {
      await grantWith(admin, formatRequest(local), datacenter, { role: "worker", datacenters: [datacenter] });
    }
    const owner = instance.ensureIdentity();
    if (!granted.has(owner.user)) {
      const name = ownerName();
      await grantWith(admin, formatRequest(owner), name === datacenter ? "owner" : name, { role: "admin" });
    }
  } finally {
    await admin.close();
  }
}
