/** What a submitter needs to read a tag of their own: its manifest, checked, and its key. */
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { InstanceError, RefusedError, VersionError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { readAdded, withAdded } from "../trust/added.ts";
import { type ClosingRecord, closingRecord, type Manifest, manifestRecord } from "../trust/manifest.ts";
import { openOptions, type TagOptions } from "../trust/options.ts";
import { openSigned } from "../trust/signed.ts";
import { unwrapKey } from "../trust/wrap.ts";
import { VERSION } from "../version.ts";

export interface TagAccess {
  session: Session;
  reader: StreamReader;
  u: string;
  manifest: Manifest;
  /** One's own. */
  signingKey: Uint8Array;
  tagKey: Uint8Array;
  options: TagOptions;
  /** Absent while the submit has not ended, or where it was cut off. */
  closing: ClosingRecord | undefined;
  /** Records of datacenters that were added since; {@link manifest} has what they say. */
  addedRecords: number;
}

/** A record must be of this instance, user and tag, whatever key it lies under. */
function checkOwner(record: { rootKey: Uint8Array; user: string; tag: string }, session: Session, tag: string): void {
  const ours = Buffer.compare(record.rootKey, session.link.rootKey) === 0 && record.user === session.identity.user;
  if (!ours || record.tag !== tag)
    throw new RefusedError(`what the broker holds as ${tag} is a record of something else`);
}

function openManifest(tag: string, signed: Uint8Array, signingKey: Uint8Array): Manifest {
  try {
    return openSigned(manifestRecord, signed, signingKey, "you");
  } catch (cause) {
    if (!(cause instanceof VersionError)) throw cause;
    const { found, expected } = cause;
    throw new VersionError(
      `${tag} was submitted by humq protocol ${found}, this humq (${VERSION}) speaks ${expected}: ` +
        (found > expected
          ? "update humq here."
          : `go on with the humq that submitted it, or delete it (humq delete ${tag}) and submit again.`),
      found,
      expected,
      { cause },
    );
  }
}

/**
 * @throws InstanceError where the broker has no such tag; RefusedError where its manifest is not the one you signed;
 *   VersionError where another version of humq submitted it
 */
export async function openTag(session: Session, tag: string): Promise<TagAccess> {
  const { identity, link } = session;
  const u = shortUser(identity.user);
  const reader = await StreamReader.open(session.nc);
  const [storedManifest, storedClosing] = await Promise.all([
    reader.last(streamOf.tags(u), subjectOf.manifest(u, tag)),
    reader.last(streamOf.tags(u), subjectOf.close(u, tag)),
  ]);
  if (storedManifest === null) {
    throw new InstanceError(
      `the broker of "${session.instance.name}" has no tag ${tag} of yours: it was deleted, has expired, is somebody else's, or belongs to another instance`,
    );
  }
  const signingKey = identity.signer.publicKey;
  const signed = openManifest(tag, storedManifest.data, signingKey);
  checkOwner(signed, session, tag);
  const owner = { rootKey: link.rootKey, user: identity.user, tag };
  const added = await readAdded((number) => reader.last(streamOf.tags(u), subjectOf.keys(u, tag, number)), {
    ...owner,
    signingKey,
    name: "you",
  });
  const manifest = withAdded(signed, added);
  const tagKey = unwrapKey(manifest.keys, identity.agreement, owner);
  if (tagKey === undefined) throw new RefusedError(`the key of ${tag} is not wrapped for you`);
  const options = openOptions(tagKey, owner, manifest.options);
  let closing: ClosingRecord | undefined;
  if (storedClosing !== null) {
    closing = openSigned(closingRecord, storedClosing.data, signingKey, "you");
    checkOwner(closing, session, tag);
  }
  return { session, reader, u, manifest, signingKey, tagKey, options, closing, addedRecords: added.records };
}
