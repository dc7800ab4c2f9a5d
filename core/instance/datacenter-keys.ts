/**
 * The keys of a datacenter on this machine. `NAME.seed` is the one in use. `NAME.next.seed` takes its place as soon as the
 * owner has granted it; the one before then stays as `NAME.<id>.old.seed`, to open tags that were made for it.
 */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { InstanceError } from "../errors.ts";
import { isRevokedNotice } from "../trust/grant.ts";
import { type Identity, identityFromSeed, newSeed } from "../trust/identity.ts";
import type { Agreement } from "../trust/keys.ts";
import { keyId } from "../trust/wrap.ts";
import { createSecret, formatSeed, readSeed } from "./files.ts";
import type { Instance } from "./home.ts";
import { fetchGrant, type Session } from "./session.ts";

function folderOf(instance: Instance): string {
  return join(instance.folder, "datacenters");
}

function nextPath(instance: Instance, datacenter: string): string {
  return join(folderOf(instance), `${datacenter}.next.seed`);
}

function identityIn(path: string): Identity | undefined {
  const seed = readSeed(path);
  return seed === undefined ? undefined : identityFromSeed(seed);
}

/** The key that is to take the place of the one in use; undefined where there is none. */
export function nextKey(instance: Instance, datacenter: string): Identity | undefined {
  return identityIn(nextPath(instance, datacenter));
}

/**
 * The key that is to take the place of the one in use, made now where there is none.
 * @throws InstanceError where the datacenter has no key here
 */
export function ensureNextKey(instance: Instance, datacenter: string): Identity {
  if (instance.identity(datacenter) === undefined) {
    const here = instance.datacenters().join(", ");
    throw new InstanceError(
      `this machine has no key of datacenter "${datacenter}" that could be replaced (keys here: ${here || "none"})`,
    );
  }
  const path = nextPath(instance, datacenter);
  createSecret(path, formatSeed(newSeed()));
  return identityIn(path)!;
}

/** From now on the next key is the one in use; the one before stays to open older tags. */
export function useNextKey(instance: Instance, datacenter: string): void {
  const folder = folderOf(instance);
  const current = join(folder, `${datacenter}.seed`);
  const seed = readSeed(current);
  const next = nextPath(instance, datacenter);
  if (seed === undefined || !existsSync(next)) return;
  const id = Buffer.from(keyId(identityFromSeed(seed).agreement.publicKey)).toString("hex");
  createSecret(join(folder, `${datacenter}.${id}.old.seed`), formatSeed(seed));
  try {
    renameSync(next, current);
  } catch (cause) {
    // Another worker that starts here was quicker.
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT")
      throw new InstanceError(`cannot write ${current}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Goes over to the next key where there is one and the owner has granted it.
 * @returns whether it did
 * @throws BrokerError where the broker cannot be asked
 */
export async function adoptNextKey(instance: Instance, datacenter: string): Promise<boolean> {
  const next = nextKey(instance, datacenter);
  if (next === undefined) return false;
  const grant = await fetchGrant(instance, next);
  if (grant?.role !== "worker" || grant.datacenters[0] !== datacenter || isRevokedNotice(grant)) return false;
  useNextKey(instance, datacenter);
  return true;
}

/** Everything that opens tags made for a datacenter: the key of the session, then the others that are on this machine. */
export function* agreementsOf({ identity, instance }: Session, datacenter: string): Generator<Agreement> {
  yield identity.agreement;
  const folder = folderOf(instance);
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${datacenter}.`) || !file.endsWith(".seed")) continue;
    const other = identityIn(join(folder, file));
    if (other !== undefined && other.user !== identity.user) yield other.agreement;
  }
}
