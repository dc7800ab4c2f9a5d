/**
 * A new root key. All accounts and grants come from the root key, so it is a new instance under the old name: same people,
 * same datacenters, with the keys that they have; a new server configuration and a new join link. Tags stay with the old one.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { guestCredential } from "../broker/guest.ts";
import { isTls } from "../broker/tls.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { nearest } from "../suggest.ts";
import { type Grant, isRevokedNotice } from "../trust/grant.ts";
import { newSeed, rootFromSeed } from "../trust/identity.ts";
import { requestOf } from "../trust/request.ts";
import { Admin, isInForce } from "./admin.ts";
import { findInstance, type Instance } from "./home.ts";
import { DEFAULT_PORT, initialisedFolder, type ServerTls, writeServerOf } from "./init.ts";
import { formatLink } from "./link.ts";
import { type Regrant, saveRegrants } from "./regrant.ts";
import { replaceInstance } from "./replace.ts";
import { passphraseOf, writeRoot } from "./root-key.ts";
import { DEFAULT_DATACENTER, startEmbedded } from "./up.ts";

export interface RotationPlan {
  instance: Instance;
  /** Who is granted access anew, as before. */
  regrants: Regrant[];
  /** Who is not, and why not. */
  left: { name: string; why: string }[];
}

export interface RotateOptions {
  /** Of an instance on a server of its own: the folder to write the new configuration into. Default `humq-server-new`. */
  folder?: string;
  /** The new server's port, where both servers are to run side by side. Default: the old one's. */
  port?: number;
  /** As for `humq init`. Default: `own` where there was TLS before. */
  tls?: ServerTls;
}

export interface Rotated {
  instance: Instance;
  /** What was before, with the old root key. */
  old: Instance;
  /** What people and workers go over to the new instance with. */
  link: string;
  /** Of an instance on a server of its own: the nats.conf to start it with. */
  configPath?: string;
}

/** Of a datacenter whose key was replaced only the newest is wanted. */
function whyLeft(grant: Grant, current: readonly Uint8Array[], except: ReadonlySet<string>): string | undefined {
  const { name, role, expiresMs, signingKey } = grant;
  if (except.has(name)) return "as you said";
  if (expiresMs > 0 && expiresMs <= Date.now()) return "the grant has expired";
  if (role !== "worker" || current.some((key) => Buffer.compare(key, signingKey) === 0)) return undefined;
  return "it is not the key that the datacenter uses";
}

/** @throws UsageError where somebody is to be left out who is not there, or whose key the new instance begins with */
function checkExcept(instance: Instance, grants: readonly Grant[], except: readonly string[]): void {
  const names = grants.map(({ name }) => name);
  const own = [undefined, ...instance.datacenters()].map((datacenter) => instance.identity(datacenter)?.user);
  for (const name of except) {
    const grant = grants.find((other) => other.name === name);
    if (grant === undefined) {
      const hint = nearest(name, names);
      throw new UsageError(
        `--except: nobody is granted access as ${JSON.stringify(name)}${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
      );
    }
    if (!own.includes(grant.user)) continue;
    throw new UsageError(
      `--except: the key of "${name}" is on this machine, and is let in again. ` +
        (grant.role === "worker"
          ? `Replace it first: humq request LINK --datacenter ${grant.datacenters[0]} --rotate`
          : "It is yours"),
    );
  }
}

async function plan(instance: Instance, except: readonly string[]): Promise<RotationPlan> {
  const admin = Admin.open(instance);
  try {
    const revocations = await admin.revocations.current();
    const inForce = (await admin.grants()).filter((grant) => !isRevokedNotice(grant) && isInForce(grant, revocations));
    checkExcept(instance, inForce, except);
    const current = (await admin.directory()).datacenters.map(({ signingKey }) => signingKey);
    const left: RotationPlan["left"] = [];
    const regrants: Regrant[] = [];
    for (const grant of inForce) {
      const { name, role, datacenters, expiresMs, user } = grant;
      const why = whyLeft(grant, current, new Set(except));
      if (why !== undefined) left.push({ name, why });
      else {
        const quotaBytes = role === "worker" ? undefined : await admin.quota(user);
        const request = requestOf(grant);
        regrants.push({ request, name, role, datacenters, expiresMs, ...(quotaBytes !== undefined && { quotaBytes }) });
      }
    }
    return { instance, regrants, left };
  } finally {
    await admin.close();
  }
}

/** An embedded broker is started for it, and stopped again. */
async function withBroker<T>(instance: Instance, action: () => Promise<T>): Promise<T> {
  if (initialisedFolder(instance) !== undefined) return action();
  const datacenter = instance.datacenters()[0] ?? DEFAULT_DATACENTER;
  const embedded = await startEmbedded({ instance: instance.name, worker: false, datacenter });
  try {
    return await action();
  } finally {
    await embedded.stop();
  }
}

/**
 * Reads who has access now. An instance of `humq up` must not run; the server of another one must.
 * @param except names of grants that are not to be issued anew
 * @throws InstanceError where the root key is not here, or `humq up` runs; UsageError where nobody has one of the names
 */
export function planRotation(options: { instance?: string; except?: readonly string[] } = {}): Promise<RotationPlan> {
  const instance = findInstance(options.instance);
  if (!instance.hasRoot) {
    throw new InstanceError(
      `only the owner of "${instance.name}" can do this: its root key is not here (expected ${instance.rootPath})`,
    );
  }
  return withBroker(instance, () => plan(instance, options.except ?? []));
}

function portOf(instance: Instance): number {
  return Number(new URL(instance.link.servers[0]!.replace(/^tls:/, "nats:")).port) || DEFAULT_PORT;
}

/**
 * Makes the new root key and everything that comes from it. What was before stays as the instance `NAME-old`. The broker of
 * `humq up` is set up at once; a server of its own is set up once it runs with the new configuration (`finishInit`).
 * @throws InstanceError where the configuration is there already, or something cannot be written. Nothing has changed then.
 */
export async function rotateRoot({ instance, regrants }: RotationPlan, options: RotateOptions = {}): Promise<Rotated> {
  const { name, link: before } = instance;
  const isInitialised = initialisedFolder(instance) !== undefined;
  const folder = resolve(options.folder ?? "humq-server-new");
  const configPath = join(folder, "nats.conf");
  if (isInitialised && existsSync(configPath)) {
    throw new InstanceError(`${configPath} is there already, and is not overwritten. Name another folder with --dir.`);
  }
  const passphrase = passphraseOf(instance.rootPath);
  const port = options.port ?? portOf(instance);
  const datacenter = instance.datacenters()[0] ?? DEFAULT_DATACENTER;
  const old = await replaceInstance(instance, async (next) => {
    const seed = newSeed();
    const root = rootFromSeed(seed);
    writeRoot(next.rootPath, seed, passphrase);
    const servers = before.servers.map((server) => server.replace(/:\d+$/, `:${port}`));
    next.saveLink({ name: before.name, servers, rootKey: root.publicKey, guest: guestCredential(root) });
    saveRegrants(next, regrants);
    if (!isInitialised) return;
    const tls = options.tls ?? (before.servers.some(isTls) ? "own" : "none");
    await writeServerOf(next, { name, folder, port, datacenter, tls });
  });
  if (isInitialised) return { instance, old, link: formatLink(instance.link), configPath };
  // Setting it up grants everybody access.
  await withBroker(instance, async () => undefined);
  return { instance, old, link: formatLink(instance.link) };
}
