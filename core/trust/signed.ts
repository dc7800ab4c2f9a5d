/** Signed records: the signature, then the bytes it covers. What is acted on is read from exactly those bytes. */
import { DecodeError, RefusedError } from "../errors.ts";
import { SIGNATURE_BYTES, type Signer, verify } from "./keys.ts";
import type { RecordType } from "./record.ts";

export function signRecord<T>(type: RecordType<T>, value: T, signer: Signer): Uint8Array {
  const body = type.encode(value);
  return Buffer.concat([signer.sign(body), body]);
}

/**
 * @param who whose signature is expected, for the message
 * @throws RefusedError where the signature is not by `signingKey`; DecodeError where they signed something else
 */
export function openSigned<T>(type: RecordType<T>, signed: Uint8Array, signingKey: Uint8Array, who: string): T {
  const body = signed.subarray(SIGNATURE_BYTES);
  if (!verify(signingKey, body, signed.subarray(0, SIGNATURE_BYTES))) {
    throw new RefusedError(`${type.domain}: the signature is not by ${who}`);
  }
  return type.decode(body);
}

/** Reads a signed record without checking it: only to learn whose signature to check next. */
export function peekSigned<T>(type: RecordType<T>, signed: Uint8Array): T {
  if (signed.length <= SIGNATURE_BYTES) throw new DecodeError(`${type.domain}: ${signed.length} bytes is too short`);
  return type.decode(signed.subarray(SIGNATURE_BYTES));
}
