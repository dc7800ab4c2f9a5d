/** Signed records: the signature, then the bytes it covers. What is acted on is read from exactly those bytes. */
import { DecodeError, RefusedError, VersionError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { SIGNATURE_BYTES, type Signer, verify } from "./keys.ts";
import { domainOf, parseDomain, type RecordType } from "./record.ts";

export function signRecord<T>(type: RecordType<T>, value: T, signer: Signer): Uint8Array {
  const body = type.encode(value);
  return Buffer.concat([signer.sign(body), body]);
}

/** @throws VersionError where the bytes are the same kind of record in another version */
function checkVersion(expected: string, body: Uint8Array): void {
  const [known, found] = [parseDomain(expected), parseDomain(domainOf(body))];
  if (known === undefined || found === undefined || found.kind !== known.kind || found.version === known.version)
    return;
  throw new VersionError(
    `what was read is a ${found.kind} of version ${found.version}; this humq (${VERSION}) reads version ${known.version}. ` +
      (found.version > known.version ? "Update humq here." : "It was written by an older humq, which must be updated."),
    found.version,
    known.version,
  );
}

/**
 * @param who whose signature is expected, for the message
 * @throws RefusedError where the signature is not by `signingKey`; VersionError where they signed another version of the
 *   record; DecodeError where they signed something else
 */
export function openSigned<T>(type: RecordType<T>, signed: Uint8Array, signingKey: Uint8Array, who: string): T {
  const body = signed.subarray(SIGNATURE_BYTES);
  if (!verify(signingKey, body, signed.subarray(0, SIGNATURE_BYTES))) {
    throw new RefusedError(`${type.domain}: the signature is not by ${who}`);
  }
  checkVersion(type.domain, body);
  return type.decode(body);
}

/** Reads a signed record without checking it: only to learn whose signature to check next. */
export function peekSigned<T>(type: RecordType<T>, signed: Uint8Array): T {
  if (signed.length <= SIGNATURE_BYTES) throw new DecodeError(`${type.domain}: ${signed.length} bytes is too short`);
  return type.decode(signed.subarray(SIGNATURE_BYTES));
}
