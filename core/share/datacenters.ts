/** Letting more datacenters run a tag than those it was submitted for. */
import { recordExpiry } from "../broker/expiry.ts";
import { subjectOf } from "../broker/names.ts";
import { expectNone, isTaken, publish } from "../broker/publish.ts";
import { rouseWorkers } from "../control/pause.ts";
import { InstanceError } from "../errors.ts";
import { chooseDatacenters } from "../submit/datacenters.ts";
import type { TagAccess } from "../tag/access.ts";
import { MOST_RECORDS, signAddedKeys } from "../trust/added.ts";
import { keyId, wrapKey } from "../trust/wrap.ts";

/**
 * Gives datacenters the tag's key, so that they can run its calls. Also for one that may run it already and has another
 * key since.
 * @returns the names of those that could not open it before
 * @throws UsageError where one does not serve the tag's submitter; InstanceError where another program adds some as well
 */
export async function addDatacenters(access: TagAccess, names: readonly string[]): Promise<string[]> {
  const { session, manifest, u, tagKey, addedRecords } = access;
  const { rootKey, user, tag } = manifest;
  const owner = { rootKey, user, tag };
  const held = new Set(manifest.keys.map((wrap) => Buffer.from(wrap.keyId).toString("hex")));
  const chosen = await chooseDatacenters(session, [...new Set(names)]);
  const without = chosen.filter(({ encryptionKey }) => !held.has(Buffer.from(keyId(encryptionKey)).toString("hex")));
  if (without.length === 0) return [];
  if (addedRecords === MOST_RECORDS)
    throw new InstanceError(`datacenters were added to ${tag} ${MOST_RECORDS} times: submit it anew`);
  const added = without.map(({ name }) => name);
  const number = addedRecords + 1;
  const record = {
    ...owner,
    number,
    datacenters: added,
    keys: without.map(({ encryptionKey }) => wrapKey(tagKey, encryptionKey, owner)),
  };
  const subject = subjectOf.keys(u, tag, number);
  const data = signAddedKeys(record, session.identity.signer);
  try {
    await publish(session.nc, { subject, data, ...recordExpiry(manifest) }, expectNone(subject));
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new InstanceError(
      `another program of yours is adding datacenters to ${tag}: look who may run it, and try again`,
    );
  }
  await rouseWorkers(access);
  return added;
}
