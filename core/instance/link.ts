/**
 * Join links: server addresses, the root's public key and the guest credential.
 * `humq://HOST:PORT/NAME?root=O...&guest=A....SA...`; further servers as `server=HOST:PORT`, TLS as `tls=1`, and as `ca=...`
 * the certificates (DER, base64url) of who may vouch for the servers, where that is not for the system to say.
 */
import { X509Certificate } from "node:crypto";
import { isGuestCredential } from "../broker/guest.ts";
import { isName } from "../broker/names.ts";
import { hostOf, isTls } from "../broker/tls.ts";
import { UsageError } from "../errors.ts";
import { guarded } from "../trust/guarded.ts";
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
  /** Certificates (DER) of who may vouch for `tls://` servers; absent: whom Node trusts. */
  authorities?: Uint8Array[];
}

/** A link is passed on by mail and chat: enough for a chain or two. */
const MOST_AUTHORITIES = 4;

/** `HOST:PORT`, IPv6 in brackets. */
function isAddress(address: string): boolean {
  return /^[A-Za-z0-9.:[\]-]{1,262}$/.test(address) && /:\d{1,5}$/.test(address) && URL.canParse(`nats://${address}`);
}

export function formatLink(link: JoinLink): string {
  const [first, ...others] = link.servers;
  const query = new URLSearchParams({ root: operatorNkey(link.rootKey), guest: link.guest });
  if (isTls(first ?? "")) query.set("tls", "1");
  for (const server of others) query.append("server", hostOf(server));
  for (const authority of link.authorities ?? []) query.append("ca", Buffer.from(authority).toString("base64url"));
  return `humq://${hostOf(first ?? "")}/${link.name}?${query}`;
}

/** @throws UsageError where the text is not a whole join link */
export function parseLink(text: string): JoinLink {
  const open = text.replace(/guest=[^&\s]*/g, "guest=...");
  const shown = JSON.stringify(open.length > 60 ? `${open.slice(0, 60)}...` : open);
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
  const addresses = [url.host, ...url.searchParams.getAll("server")];
  if (!addresses.every(isAddress)) throw refuse("one of its servers is not HOST:PORT");
  const servers = addresses.map((address) => `${scheme}://${address}`);
  let rootKey: Uint8Array;
  try {
    rootKey = Uint8Array.from(rawNkey("operator", root));
  } catch {
    throw refuse("the root key is not whole");
  }
  const authorities = parseAuthorities(url.searchParams.getAll("ca"));
  if (authorities === undefined) throw refuse("the authority for its servers is not whole");
  if (authorities.length > 0 && scheme === "nats") throw refuse("it has an authority for its servers, but not tls=1");
  const link = { name, servers, rootKey, guest, ...(authorities.length > 0 && { authorities }) };
  return guarded(link, `join link of ${name} at ${servers.join(", ")}`);
}

/** Undefined where one is no certificate in its one and only form. */
function parseAuthorities(encoded: readonly string[]): Uint8Array[] | undefined {
  if (encoded.length > MOST_AUTHORITIES) return undefined;
  const authorities = encoded.map((text) => Uint8Array.from(Buffer.from(text, "base64url")));
  try {
    const whole = authorities.every((each, index) => {
      const same = Buffer.compare(new X509Certificate(each).raw, each) === 0;
      return same && Buffer.from(each).toString("base64url") === encoded[index];
    });
    return whole ? authorities : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The link with other addresses, reached as before (with TLS or without).
 * @param addresses `HOST:PORT`, IPv6 in brackets
 * @throws UsageError where one is none
 */
export function withServers(link: JoinLink, addresses: readonly string[]): JoinLink {
  const scheme = isTls(link.servers[0] ?? "") ? "tls" : "nats";
  const servers = addresses.map((address) => {
    if (!isAddress(hostOf(address)))
      throw new UsageError(`--server: expected HOST:PORT, got ${JSON.stringify(address.slice(0, 100))}`);
    return `${scheme}://${hostOf(address)}`;
  });
  return { ...link, servers };
}
