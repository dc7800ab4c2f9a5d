/**
 * Join links: server addresses, the root's public key and the guest credential.
 * `humq://HOST:PORT/NAME?root=O...&guest=A....SA...`; further servers as `server=HOST:PORT`, TLS as `tls=1`.
 */
import { isGuestCredential } from "../broker/guest.ts";
import { isName } from "../broker/names.ts";
import { UsageError } from "../errors.ts";
import { operatorNkey, rawNkey } from "../trust/nkeys.ts";

export interface JoinLink {
  /** The instance's name as its owner calls it. */
  name: string;
  /** `nats://HOST:PORT` or `tls://HOST:PORT`. */
  servers: string[];
  /** The root's raw public key, 32 bytes. */
  rootKey: Uint8Array;
  /** The guest credential, see core/broker/guest.ts. */
  guest: string;
}

function host(server: string): string {
  return server.replace(/^(nats|tls):\/\//, "");
}

export function formatLink(link: JoinLink): string {
  const [first, ...others] = link.servers;
  const query = new URLSearchParams({ root: operatorNkey(link.rootKey), guest: link.guest });
  if (first?.startsWith("tls://") === true) query.set("tls", "1");
  for (const server of others) query.append("server", host(server));
  return `humq://${host(first ?? "")}/${link.name}?${query}`;
}

/** @throws UsageError where the text is not a whole join link */
export function parseLink(text: string): JoinLink {
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
  const refuse = (why: string) =>
    new UsageError(`not a join link: ${why}. Expected humq://HOST:PORT/NAME?root=...&guest=..., got ${shown}.`);
  if (!URL.canParse(text.trim())) throw refuse("it cannot be read as an address");
  const url = new URL(text.trim());
  if (url.protocol !== "humq:") throw refuse("it does not begin with humq://");
  if (url.hostname === "" || url.port === "") throw refuse("host or port is missing");
  const name = url.pathname.slice(1);
  if (!isName(name))
    throw refuse("the instance's name is missing or has other characters than letters, digits, - and _");
  const root = url.searchParams.get("root");
  const guest = url.searchParams.get("guest");
  if (root === null || guest === null) throw refuse("root or guest is missing, so it was not copied whole");
  if (!isGuestCredential(guest)) throw refuse("the guest credential is not whole");
  const scheme = url.searchParams.get("tls") === "1" ? "tls" : "nats";
  const servers = [url.host, ...url.searchParams.getAll("server")].map((address) => `${scheme}://${address}`);
  try {
    return { name, servers, rootKey: Uint8Array.from(rawNkey("operator", root)), guest };
  } catch {
    throw refuse("the root key is not whole");
  }
}

/**
 * The link with other addresses, reached as before (with TLS or without).
 * @param addresses `HOST:PORT`, IPv6 in brackets
 * @throws UsageError where one is none
 */
export function withServers(link: JoinLink, addresses: readonly string[]): JoinLink {
  const scheme = link.servers[0]?.startsWith("tls://") === true ? "tls" : "nats";
  const servers = addresses.map((address) => {
    const server = `${scheme}://${host(address)}`;
    const usable = /^[A-Za-z0-9.:[\]-]+:\d{1,5}$/.test(host(address)) && URL.canParse(server);
    if (!usable) throw new UsageError(`--server: expected HOST:PORT, got ${JSON.stringify(address)}`);
    return server;
  });
  return { ...link, servers };
}
