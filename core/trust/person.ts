/** Whose keys a person's name stands for: what the root signs so that people can share with each other by name. */
import { RefusedError } from "../errors.ts";
import { checkGrantTime } from "./grant.ts";
import { KEY_BYTES, type Signer } from "./keys.ts";
import { fixed, recordType, text, u64 } from "./record.ts";
import { openSigned, signRecord } from "./signed.ts";

/** A part of a person's grant, as of the same moment. */
export interface Person {
  rootKey: Uint8Array;
  name: string;
  signingKey: Uint8Array;
  encryptionKey: Uint8Array;
  /** The login's public nkey. */
  user: string;
  /** The public nkey of the NATS account in which those log in whom the person shares with; empty where they are revoked. */
  readers: string;
  /** Milliseconds since 1970. */
  issuedMs: number;
  /** Milliseconds since 1970; 0 for never. */
  expiresMs: number;
}

const personRecord = recordType<Person>("humq/person/1", {
  rootKey: fixed(KEY_BYTES),
  name: text,
  signingKey: fixed(KEY_BYTES),
  encryptionKey: fixed(KEY_BYTES),
  user: text,
  readers: text,
  issuedMs: u64,
  expiresMs: u64,
});

export function signPerson(person: Person, root: Signer): Uint8Array {
  return signRecord(personRecord, person, root);
}

/**
 * @param name under which it lay
 * @throws RefusedError where the root did not sign it for this instance and name, or where the person's grant is over
 */
export function openPerson(signed: Uint8Array, rootKey: Uint8Array, name: string, nowMs: number): Person {
  const person = openSigned(personRecord, signed, rootKey, "the instance's root key");
  if (Buffer.compare(person.rootKey, rootKey) !== 0 || person.name !== name) {
    throw new RefusedError(`what the broker holds of ${name} is a record of something else`);
  }
  if (person.readers === "") throw new RefusedError(`the access of ${name} was revoked`);
  checkGrantTime(person, nowMs);
  return person;
}
