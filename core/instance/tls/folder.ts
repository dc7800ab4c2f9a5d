/** The certificate of a server in its folder: made, or put there. */
import { join } from "node:path";
import { hostOf } from "../../broker/tls.ts";
import type { Root } from "../../trust/identity.ts";
import { makePrivateFolder, writePrivate, writeSecret } from "../files.ts";
import type { JoinLink } from "../link.ts";
import { authorityCertificate, authorityPem, serverCertificate } from "./certificate.ts";
import { type GivenFiles, readGiven } from "./given.ts";

/** As they stand in nats.conf: relative to the server's folder. */
export const TLS_FILES = { cert: "tls/server.pem", key: "tls/server-key.pem" } as const;
const AUTHORITY_FILE = "tls/ca.pem";

/** What a server's certificate is to be: of the instance's own authority, or one that the owner has. */
export type CertificateSource = { own: Root } | { given: GivenFiles };

export interface Installed {
  /** For the join link; empty: whom everybody trusts. */
  authorities: Uint8Array[];
  hosts: string[];
  /** When the certificate expires, in milliseconds since 1970. */
  untilMs: number;
}

/** Writes certificate, key and authority into a server's folder. @throws as `readGiven` */
export function installCertificate(folder: string, source: CertificateSource, hosts: readonly string[]): Installed {
  const { certificate, key, authorities, untilMs } =
    "own" in source
      ? { ...serverCertificate(source.own, hosts), authorities: [authorityCertificate(source.own)] }
      : readGiven(source.given, hosts);
  makePrivateFolder(join(folder, "tls"));
  // The key first: a server that is told to read both anew in between keeps what it has.
  writeSecret(join(folder, TLS_FILES.key), key);
  writePrivate(join(folder, TLS_FILES.cert), certificate);
  if ("own" in source) writePrivate(join(folder, AUTHORITY_FILE), authorityPem(source.own));
  return { authorities, hosts: [...hosts], untilMs };
}

/** Names and addresses, without ports, by which the servers of a link are reached. */
export function hostsOf({ servers }: Pick<JoinLink, "servers">): string[] {
  return servers.map((server) => new URL(`tls://${hostOf(server)}`).hostname.replace(/^\[(.*)\]$/, "$1"));
}

/** The link, from now on with TLS. */
export function withTls(link: JoinLink, authorities: readonly Uint8Array[]): JoinLink {
  const { name, rootKey, guest } = link;
  const servers = link.servers.map((server) => `tls://${hostOf(server)}`);
  return { name, rootKey, guest, servers, ...(authorities.length > 0 && { authorities: [...authorities] }) };
}
