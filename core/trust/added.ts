/** The tag's key for datacenters that were added after the submit, or whose own key is another since. */
import { isName } from "../broker/names.ts";
import { RefusedError } from "../errors.ts";
import { KEY_BYTES, type Signer } from "./keys.ts";
import { fixed, list, recordType, text, u32 } from "./record.ts";
import { openSigned, signRecord } from "./signed.ts";
import { type WrappedKey, wrappedKey } from "./wrap.ts";

export interface AddedKeys {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** From 1 on, without gaps. */
  number: number;
  /** Names of the datacenters that may run the tag as well. */
  datacenters: string[];
  keys: WrappedKey[];
}

const addedKeysRecord = recordType<AddedKeys>("humq/keys/1", {
  rootKey: fixed(KEY_BYTES),
  user: text,
  tag: text,
  number: u32,
  datacenters: list(text),
  keys: list(wrappedKey),
});

export function signAddedKeys(added: AddedKeys, signer: Signer): Uint8Array {
  return signRecord(addedKeysRecord, added, signer);
}

/** Whose records they have to be. */
export interface AddedOwner {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  signingKey: Uint8Array;
  /** For messages. */
  name: string;
}

function openAddedKeys(signed: Uint8Array, owner: AddedOwner, number: number): AddedKeys {
  const added = openSigned(addedKeysRecord, signed, owner.signingKey, owner.name);
  const same = Buffer.compare(added.rootKey, owner.rootKey) === 0 && added.user === owner.user;
  if (!same || added.tag !== owner.tag || added.number !== number) {
    throw new RefusedError(`what the broker holds as added keys of ${owner.tag} is a record of something else`);
  }
  return added;
}

/** What was added to a tag, all together. */
export interface Added {
  datacenters: string[];
  keys: WrappedKey[];
  /** How many records there are. */
  records: number;
}

/** More are nobody's need; they would hold up whoever reads them. */
export const MOST_RECORDS = 100;

/**
 * @param ask reads the record of a number
 * @throws RefusedError | DecodeError where one is not what the submitter signed
 */
export async function readAdded(
  ask: (number: number) => Promise<{ data: Uint8Array } | null>,
  owner: AddedOwner,
): Promise<Added> {
  const found: Added = { datacenters: [], keys: [], records: 0 };
  for (let stored = await ask(1); stored !== null; stored = await ask(found.records + 1)) {
    if (found.records === MOST_RECORDS) throw new RefusedError(`${owner.tag} has more than ${MOST_RECORDS} added keys`);
    const { datacenters, keys } = openAddedKeys(stored.data, owner, found.records + 1);
    found.datacenters.push(...datacenters);
    found.keys.push(...keys);
    found.records++;
  }
  return found;
}

/** Each is asked for by whoever looks for what became of a call. */
const MOST_DATACENTERS = 1_000;

/**
 * A tag's description with what was added to it since.
 * @throws RefusedError where it names more datacenters than anybody looks at, or what cannot be one: signed by its submitter,
 *   and still not to be trusted with what it names, which becomes parts of subjects
 */
export function withAdded<M extends { datacenters: string[]; keys: WrappedKey[] }>(manifest: M, added: Added): M {
  const datacenters = [...new Set([...manifest.datacenters, ...added.datacenters])];
  if (datacenters.length > MOST_DATACENTERS)
    throw new RefusedError(`a tag names ${datacenters.length} datacenters, more than ${MOST_DATACENTERS}`);
  if (!datacenters.every(isName)) throw new RefusedError("a tag names a datacenter that cannot be one");
  return { ...manifest, datacenters, keys: [...manifest.keys, ...added.keys] };
}
