/** TLS on the way to the broker: from the first byte, against the certificates in the link, and in words where it fails. */
import { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { Broker } from "./connect.ts";

const MIN_VERSION = "TLSv1.3";
/** Whether an address speaks TLS is asked for this long, once a plain connection has failed. */
const PROBE_TIMEOUT_MS = 3_000;

export function isTls(server: string): boolean {
  return server.startsWith("tls://");
}

/** The address that says how to reach the server: `tls://` and `nats://` are the only two. */
export function hostOf(server: string): string {
  return server.replace(/^(nats|tls):\/\//, "");
}

/** A certificate as text. @throws Error where the bytes are none */
export function pemOf(certificate: Uint8Array): string {
  return new X509Certificate(certificate).toString();
}

/**
 * What the client is told. The handshake comes first: the usual way, where the server speaks in plain text until it has
 * offered TLS, leaves it to whoever sits in between whether it does.
 */
export function tlsOptions({ servers, authorities = [] }: Broker): Pick<NodeConnectionOptions, "tls"> {
  if (!servers.some(isTls)) return {};
  const options = { handshakeFirst: true, minVersion: MIN_VERSION };
  return { tls: authorities.length === 0 ? options : { ...options, ca: authorities.map(pemOf).join("") } };
}

/** Codes of OpenSSL and of Node for a chain that does not lead to whom we trust. */
const UNKNOWN_AUTHORITY = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "CERT_REJECTED",
  // What Node has no name for, such as a signature by somebody who may not sign.
  "UNSPECIFIED",
]);

/** The code of the error, or of what caused it. */
function codeOf(error: unknown): string {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === "string" && /^(ERR_(SSL|TLS)|CERT_|EPROTO|ECONNRESET)/.test(code)) return code;
    if (typeof code === "string" && UNKNOWN_AUTHORITY.has(code)) return code;
  }
  return "";
}

/** What a failed TLS connection means, and what to do; undefined where it failed for another reason. */
function explainEncrypted(where: string, cause: unknown): string | undefined {
  const code = codeOf(cause);
  const said = cause instanceof Error ? cause.message : String(cause);
  if (UNKNOWN_AUTHORITY.has(code)) {
    return (
      `the broker at ${where} shows a certificate that nobody in your join link vouches for: either somebody is in between, ` +
      "or its owner has a new authority and a new link for you. Nothing was sent. Ask the owner for the link (humq link) by a way you trust."
    );
  }
  if (code === "CERT_HAS_EXPIRED") {
    return `the certificate of the broker at ${where} has expired. Its owner renews it: humq tls`;
  }
  if (code === "CERT_NOT_YET_VALID") {
    return `the certificate of the broker at ${where} is not valid yet. Is the clock of this machine right (${new Date().toISOString()})?`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return (
      `the certificate of the broker at ${where} is for another name: ${said}. ` +
      "Use a name that it holds (humq link --server), or its owner adds this one: humq tls --host NAME"
    );
  }
  if (/wrong version number|packet length too long|record layer failure/i.test(`${code} ${said}`)) {
    return (
      `the broker at ${where} does not answer with TLS, which the join link asks for: either somebody is in between, or the server ` +
      'runs without it or speaks before the handshake (nats.conf: handshake_first: true in "tls"). Nothing was sent, and nothing is sent in plain.'
    );
  }
  if (code.startsWith("ERR_SSL") || code === "EPROTO") {
    const { reason = said } = cause as { reason?: string };
    return `no TLS connection to the broker at ${where}: ${reason}. It must offer TLS 1.3.`;
  }
  return undefined;
}

/** Whether somebody there answers a TLS handshake. Trusts nobody, and sends nothing else. */
function speaksTls(host: string): Promise<boolean> {
  const { hostname, port } = new URL(`tls://${host}`);
  return new Promise((resolve) => {
    const done = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const bare = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket: TLSSocket = connect({ host: bare, port: Number(port), rejectUnauthorized: false });
    const timer = setTimeout(() => done(false), PROBE_TIMEOUT_MS);
    socket.once("secureConnect", () => done(true));
    socket.once("error", () => done(false));
  });
}

async function explainPlain(servers: readonly string[], cause: unknown): Promise<string | undefined> {
  const said = cause instanceof Error ? cause.message : String(cause);
  const maybe =
    codeOf(cause) !== "" || UNKNOWN_AUTHORITY.has(codeOf(cause)) || /timeout|closed|undefined error/i.test(said);
  const [first] = servers;
  if (!maybe || first === undefined || !(await speaksTls(hostOf(first)))) return undefined;
  return (
    `the broker at ${servers.join(", ")} speaks TLS only, and the join link here is one without: its owner has a new one. ` +
    "Ask for it (humq link) and use it with humq request LINK."
  );
}

/** What went wrong with TLS, or for want of it, in a sentence; undefined where it was something else. */
export async function explainTls(servers: readonly string[], cause: unknown): Promise<string | undefined> {
  return servers.some(isTls) ? explainEncrypted(servers.join(", "), cause) : explainPlain(servers, cause);
}
