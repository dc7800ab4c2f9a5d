/** The certificate of a server, made again before it expires. */
import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { isTls } from "../../broker/tls.ts";
import { InstanceError, UsageError } from "../../errors.ts";
import { readIfPresent } from "../files.ts";
import type { Instance } from "../home.ts";
import { initialisedFolder } from "../init.ts";
import { rootOf } from "../root-key.ts";
import { hostsOf, type Installed, installCertificate, TLS_FILES, withTls } from "./folder.ts";
import type { GivenFiles } from "./given.ts";

/** What stands in a certificate already. */
function hostsIn(path: string): string[] {
  const content = readIfPresent(path);
  if (content === undefined) return [];
  const names = new X509Certificate(content).subjectAltName ?? "";
  return [...names.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name = ""]) =>
    isIP(name) === 6 ? new URL(`tls://[${name}]`).hostname.slice(1, -1) : name,
  );
}

/** @throws UsageError where a name is none */
function checkHost(host: string): string {
  if (isIP(host) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)) return host;
  throw new UsageError(`--host: expected a name or an address such as nats.example.org, got ${JSON.stringify(host)}`);
}

export interface RenewOptions {
  /** The server's folder; default: the one that `humq init` wrote. */
  folder?: string;
  /** Further names and addresses of the server. Those in the link and in the certificate before stay. */
  hosts?: readonly string[];
  /** A certificate from elsewhere. Default: one of the instance's own authority. */
  given?: GivenFiles;
}

export interface Renewed extends Installed {
  /** Absolute, with `tls/server.pem` in it. */
  folder: string;
  /** Whether the join link changed: others need the new one. */
  linkChanged: boolean;
}

function folderOf(instance: Instance, folder: string | undefined): string {
  const chosen = folder === undefined ? initialisedFolder(instance) : resolve(folder);
  if (chosen === undefined) {
    throw new InstanceError(
      `"${instance.name}" was not made by humq init: a broker of humq up listens on loopback only, without TLS. ` +
        "For a server of your own name its folder: --dir DIR",
    );
  }
  if (existsSync(chosen) && readdirSync(chosen).length > 0) return chosen;
  throw new InstanceError(`there is no server's folder ${chosen} (any more?). Name the one to write to: --dir DIR`);
}

/**
 * Makes the certificate of an instance's server anew, or the first one of a server that had none, and the link that says so.
 * @throws InstanceError where the root key or the folder is not here; PassphraseError; UsageError as `readGiven`
 */
export function renewCertificate(instance: Instance, options: RenewOptions = {}): Renewed {
  const folder = folderOf(instance, options.folder);
  const root = rootOf(instance);
  const { link } = instance;
  const before = options.given === undefined ? hostsIn(join(folder, TLS_FILES.cert)) : [];
  const hosts = [...new Set([...hostsOf(link), ...before, ...(options.hosts ?? []).map(checkHost)])];
  const source = options.given === undefined ? { own: root } : { given: options.given };
  const installed = installCertificate(folder, source, hosts);
  const { authorities } = installed;
  const known = link.authorities ?? [];
  const same =
    known.length === authorities.length && known.every((each, i) => Buffer.compare(each, authorities[i]!) === 0);
  const linkChanged = !same || !link.servers.every(isTls);
  if (linkChanged) instance.saveLink(withTls(link, authorities));
  return { ...installed, folder, linkChanged };
}
