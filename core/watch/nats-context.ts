/** Letting the `nats` command in with an identity's own rights. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fmtCreds } from "@nats-io/jwt";
import { accountLabel } from "../broker/accounts.ts";
import { shortUser } from "../broker/names.ts";
import { isTls, pemOf } from "../broker/tls.ts";
import { UsageError } from "../errors.ts";
import { Admin } from "../instance/admin.ts";
import { writePrivate, writeSecret } from "../instance/files.ts";
import type { Instance } from "../instance/home.ts";
import type { Session } from "../instance/session.ts";

export interface NatsContext {
  /** What `nats --context` takes. */
  context: string;
  /** The context's file. */
  path: string;
  /** The credentials that it names: the login key, which can read and delete what is yours on the broker. */
  credentials: string;
  /** Part of the names of the account's streams and buckets; empty for those of the instance itself. */
  user: string;
}

/** Where the `nats` command looks for contexts (NATS ADR-21). */
function contextsFolder(): string {
  const set = process.env.XDG_CONFIG_HOME;
  const base = set === undefined || set === "" ? join(homedir(), ".config") : resolve(set);
  return join(base, "nats", "context");
}

/** The command is to trust whom the link names, and to begin with the handshake as the server does. */
function tlsOf({ folder, link }: Instance): { ca?: string; tls_first?: true } {
  if (!link.servers.every(isTls)) return {};
  const { authorities = [] } = link;
  if (authorities.length === 0) return { tls_first: true };
  const ca = join(folder, "ca.pem");
  writePrivate(ca, authorities.map(pemOf).join(""));
  return { ca, tls_first: true };
}

/** @param name of the context, and part of the name of its credentials */
function write(instance: Instance, name: string, description: string, credentials: Uint8Array) {
  const path = join(contextsFolder(), `${name}.json`);
  const suffix = name.slice(`humq-${instance.name}`.length);
  const credentialsPath = join(instance.folder, `nats${suffix}.creds`);
  writeSecret(credentialsPath, credentials);
  const content = { description, url: instance.link.servers.join(","), creds: credentialsPath, ...tlsOf(instance) };
  writePrivate(path, `${JSON.stringify(content, null, 2)}\n`);
  return { context: name, path, credentials: credentialsPath };
}

/**
 * Writes a context `humq-<instance>` for the `nats` command, and the credentials that it needs, both readable by nobody
 * else. It holds until the grant expires or is renewed; writing it again replaces it.
 */
export function writeNatsContext({ instance, identity, grant }: Session): NatsContext {
  const description = `humq instance ${instance.name} as ${grant.name}`;
  const written = write(instance, `humq-${instance.name}`, description, fmtCreds(grant.userJwt, identity.login));
  return { ...written, user: shortUser(identity.user) };
}

/** How long the owner's contexts hold. */
const OWNER_CONTEXT_MS = 24 * 60 * 60 * 1000;

/**
 * Writes a context `humq-<instance>-<account>` with every right inside one account, for a day. Needs the root key.
 * @param account `hub`, `system`, or the name of a person who was granted access
 * @throws InstanceError where the root key is not here; UsageError where nobody has that name
 */
export async function writeOwnerContext(instance: Instance, account: string): Promise<NatsContext> {
  const admin = Admin.open(instance);
  try {
    let label: string = account === "hub" ? accountLabel.hub : accountLabel.system;
    let user = "";
    if (account !== "hub" && account !== "system") {
      const people = (await admin.grants()).filter(({ role }) => role !== "worker");
      const grant = people.find(({ name }) => name === account);
      if (grant === undefined) {
        const names = ["hub", "system", ...people.map(({ name }) => name)];
        throw new UsageError(`there is no account ${JSON.stringify(account)} (there are: ${names.join(", ")})`);
      }
      label = accountLabel.user(grant.user);
      user = shortUser(grant.user);
    }
    const { jwt, key } = await admin.credentials(label, OWNER_CONTEXT_MS);
    const description = `humq instance ${instance.name}, account ${account}, as its owner`;
    return { ...write(instance, `humq-${instance.name}-${account}`, description, fmtCreds(jwt, key)), user };
  } finally {
    await admin.close();
  }
}
