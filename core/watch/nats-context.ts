/** Letting the `nats` command in with an identity's own rights. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fmtCreds } from "@nats-io/jwt";
import { shortUser } from "../broker/names.ts";
import { writePrivate } from "../instance/files.ts";
import type { Session } from "../instance/session.ts";

export interface NatsContext {
  /** What `nats --context` takes. */
  context: string;
  /** The context's file. */
  path: string;
  /** The credentials that it names: the login key, which can read and delete what is yours on the broker. */
  credentials: string;
  /** Part of the names of your streams and buckets. */
  user: string;
}

/** Where the `nats` command looks for contexts (NATS ADR-21). */
function contextsFolder(): string {
  const set = process.env.XDG_CONFIG_HOME;
  const base = set === undefined || set === "" ? join(homedir(), ".config") : resolve(set);
  return join(base, "nats", "context");
}

/**
 * Writes a context `humq-<instance>` for the `nats` command, and the credentials that it needs, both readable by nobody
 * else. It holds until the grant expires or is renewed; writing it again replaces it.
 */
export function writeNatsContext({ instance, identity, link, grant }: Session): NatsContext {
  const context = `humq-${instance.name}`;
  const credentials = join(instance.folder, "nats.creds");
  const path = join(contextsFolder(), `${context}.json`);
  writePrivate(credentials, fmtCreds(grant.userJwt, identity.login));
  const content = {
    description: `humq instance ${instance.name} as ${grant.name}`,
    url: link.servers.join(","),
    creds: credentials,
  };
  writePrivate(path, `${JSON.stringify(content, null, 2)}\n`);
  return { context, path, credentials, user: shortUser(identity.user) };
}
