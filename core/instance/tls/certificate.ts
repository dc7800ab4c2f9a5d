/**
 * Certificates of an instance's own authority (RFC 5280, Ed25519 as in RFC 8410).
 *
 * The authority's key is derived from the root key, and its certificate is always the same bytes: there is nothing more
 * to keep, or to lose. Why they are written here: docs/decisions/tls-certificates.md.
 */
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import type { Root } from "../../trust/identity.ts";
import type { Signer } from "../../trust/keys.ts";
import { bitString, boolean, explicit, implicit, integer, octetString, oid, sequence, set, time, utf8 } from "./der.ts";

const DAY_MS = 24 * 60 * 60_000;
/** How long a server's certificate is valid, in days. */
export const SERVER_CERTIFICATE_DAYS = 730;
/** A server whose clock is a little behind takes it all the same. */
const BACKDATED_MS = 60 * 60_000;
/** The authority ends when its root key does; this is how a certificate says "no end" (RFC 5280 section 4.1.2.5). */
const AUTHORITY_FROM = new Date("2025-01-01T00:00:00Z");
const AUTHORITY_UNTIL = new Date("9999-12-31T23:59:59Z");
const VERSION_3 = integer(Uint8Array.of(2));

const ED25519 = sequence(oid("1.3.101.112"));
const COMMON_NAME = oid("2.5.4.3");

const nameOf = (text: string) => sequence(set(sequence(COMMON_NAME, utf8(text))));
const publicKeyInfo = (key: Uint8Array) => sequence(ED25519, bitString(key));
/** RFC 7093 section 2, method 1. */
const keyIdOf = (key: Uint8Array) => createHash("sha256").update(key).digest().subarray(0, 20);

function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** Bits are counted from the first (RFC 5280 section 4.2.1.3). */
const KeyUsage = {
  digitalSignature: bitString(Uint8Array.of(0b1000_0000), 7),
  signsCertificates: bitString(Uint8Array.of(0b0000_0110), 1),
} as const;

interface Content {
  serial: Uint8Array;
  issuer: Buffer;
  from: Date;
  until: Date;
  subject: Buffer;
  publicKey: Uint8Array;
  extensions: Buffer[];
}

function sign(content: Content, signer: Signer): Uint8Array {
  const { serial, issuer, from, until, subject, publicKey, extensions } = content;
  const signed = sequence(
    explicit(0, VERSION_3),
    integer(serial),
    ED25519,
    issuer,
    sequence(time(from), time(until)),
    subject,
    publicKeyInfo(publicKey),
    explicit(3, sequence(...extensions)),
  );
  return sequence(signed, ED25519, bitString(signer.sign(signed)));
}

function authorityName(root: Root): Buffer {
  return nameOf(`humq ${root.operator.getPublicKey()}`);
}

/** The certificate (DER) that join links carry. */
export function authorityCertificate(root: Root): Uint8Array {
  const { publicKey } = root.authority;
  const name = authorityName(root);
  const content: Content = {
    serial: keyIdOf(publicKey).subarray(0, 16),
    issuer: name,
    from: AUTHORITY_FROM,
    until: AUTHORITY_UNTIL,
    subject: name,
    publicKey,
    extensions: [
      // An authority, of servers and of no further authorities.
      extension("2.5.29.19", sequence(boolean(true), integer(Uint8Array.of(0))), true),
      extension("2.5.29.15", KeyUsage.signsCertificates, true),
      extension("2.5.29.14", octetString(keyIdOf(publicKey))),
    ],
  };
  return Uint8Array.from(sign(content, root.authority));
}

/** The 4 or 16 bytes of an address. */
function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes every address out in one way, with at most one `::`.
  const [head = "", tail] = new URL(`tls://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? implicit(2, Buffer.from(host, "ascii")) : implicit(7, addressBytes(host));
}

/** PEM texts. */
export interface ServerCertificate {
  certificate: string;
  /** Secret. */
  key: string;
  /** When it expires, in milliseconds since 1970. */
  untilMs: number;
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

export function authorityPem(root: Root): string {
  return pem("CERTIFICATE", authorityCertificate(root));
}

/**
 * A new key for a server, with a certificate of the instance's authority.
 * @param hosts names and addresses by which the server is reached
 */
export function serverCertificate(root: Root, hosts: readonly string[], now = Date.now()): ServerCertificate {
  const pair = generateKeyPairSync("ed25519");
  const publicKey = Uint8Array.from(pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32));
  const untilMs = now + SERVER_CERTIFICATE_DAYS * DAY_MS;
  const serial = randomBytes(16);
  const content: Content = {
    serial,
    issuer: authorityName(root),
    from: new Date(now - BACKDATED_MS),
    until: new Date(untilMs),
    subject: nameOf("humq broker"),
    publicKey,
    extensions: [
      extension("2.5.29.19", sequence(), true),
      extension("2.5.29.15", KeyUsage.digitalSignature, true),
      // Server authentication.
      extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"))),
      extension("2.5.29.17", sequence(...hosts.map(alternativeName))),
      extension("2.5.29.14", octetString(keyIdOf(publicKey))),
      extension("2.5.29.35", sequence(implicit(0, keyIdOf(root.authority.publicKey)))),
    ],
  };
  const certificate = pem("CERTIFICATE", sign(content, root.authority));
  return { certificate, key: String(pair.privateKey.export({ format: "pem", type: "pkcs8" })), untilMs };
}
