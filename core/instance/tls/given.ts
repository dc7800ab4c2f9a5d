/** Certificates that the owner has from elsewhere: looked through before a server is set up with them. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { UsageError } from "../../errors.ts";
import { readIfPresent, readSecret } from "../files.ts";

/** Paths of PEM files. */
export interface GivenFiles {
  /** The server's certificate, and those between it and the authority. */
  cert: string;
  /** Its private key, without a passphrase: the server has nobody to ask. */
  key: string;
  /** Certificates of the authority; default: it is one that Node and everybody else trust. */
  ca?: string;
}

export interface GivenCertificate {
  /** PEM texts. */
  certificate: string;
  key: string;
  /** DER. */
  authorities: Uint8Array[];
  untilMs: number;
}

function read(path: string, content: Buffer | undefined): string {
  if (content === undefined) throw new UsageError(`there is no file ${path}`);
  return content.toString("utf8");
}

function certificatesIn(path: string): X509Certificate[] {
  const text = read(path, readIfPresent(path));
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // falls through to the one message below
  }
  throw new UsageError(`${path}: expected certificates in PEM (-----BEGIN CERTIFICATE-----)`);
}

function keyIn(path: string): KeyObject {
  const text = read(path, readSecret(path));
  try {
    return createPrivateKey(text);
  } catch {
    throw new UsageError(`${path}: expected a private key in PEM (-----BEGIN PRIVATE KEY-----), without a passphrase`);
  }
}

/** Whether a certificate is for a name or an address. */
export function isFor(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

/**
 * @param hosts by which the server is to be reached
 * @throws UsageError where the files do not fit together, or the certificate is for another name or not valid now;
 *   InstanceError where the key is open to others
 */
export function readGiven(files: GivenFiles, hosts: readonly string[]): GivenCertificate {
  const [certificate, ...between] = certificatesIn(files.cert) as [X509Certificate, ...X509Certificate[]];
  const key = keyIn(files.key);
  const authorities = files.ca === undefined ? [] : certificatesIn(files.ca);
  const { cert } = files;
  if (!certificate.checkPrivateKey(key)) {
    throw new UsageError(`${files.key} is not the key of the first certificate in ${cert}`);
  }
  for (const host of hosts) {
    if (isFor(certificate, host)) continue;
    throw new UsageError(
      `the certificate in ${cert} is not for ${host}, but for ${certificate.subjectAltName ?? "no name at all"}: clients would refuse it`,
    );
  }
  const now = Date.now();
  const [from, until] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (now < from || now > until) {
    throw new UsageError(
      `the certificate in ${cert} is valid from ${certificate.validFrom} to ${certificate.validTo}, which is not now`,
    );
  }
  const last = between.at(-1) ?? certificate;
  const isKnown = authorities.some((authority) => last.checkIssued(authority) && last.verify(authority.publicKey));
  const isItself = authorities.some((authority) => authority.fingerprint256 === last.fingerprint256);
  if (authorities.length > 0 && !isKnown && !isItself) {
    throw new UsageError(`no certificate in ${files.ca} is that of the authority which issued the last one in ${cert}`);
  }
  return {
    certificate: [certificate, ...between].map(String).join(""),
    key: key.export({ format: "pem", type: "pkcs8" }) as string,
    authorities: authorities.map(({ raw }) => Uint8Array.from(raw)),
    untilMs: until,
  };
}

/** The three flags of a command. @throws UsageError where only one of certificate and key is there */
export function givenFiles(cert?: string, key?: string, ca?: string): GivenFiles | undefined {
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert, key, ...(ca !== undefined && { ca }) };
  throw new UsageError("--tls-cert and --tls-key go together, and --tls-ca with both");
}
