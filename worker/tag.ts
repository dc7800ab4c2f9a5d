/** A tag that this worker may run: manifest, closing record and key, each checked. */
import { isTagName, shortUser, streamOf, subjectOf } from "../core/broker/names.ts";
import type { Stored, StreamReader } from "../core/broker/read.ts";
import { readRecords } from "../core/control/state.ts";
import { RefusedError, VersionError } from "../core/errors.ts";
import { agreementsOf } from "../core/instance/datacenter-keys.ts";
import type { Session } from "../core/instance/session.ts";
import { type Added, type AddedOwner, readAdded, withAdded } from "../core/trust/added.ts";
import { CallVerifier } from "../core/trust/call.ts";
import type { Grant } from "../core/trust/grant.ts";
import { closingRecord, type Manifest, manifestRecord } from "../core/trust/manifest.ts";
import { openOptions, type TagOptions } from "../core/trust/options.ts";
import { openSigned } from "../core/trust/signed.ts";
import { unwrapKey } from "../core/trust/wrap.ts";
import { VERSION } from "../core/version.ts";
import { TagControl } from "./control.ts";
import type { Foretold, ForetoldTags } from "./foretold.ts";
import { readQueue } from "./queue.ts";

/** Names a tag among all users' tags: two users may choose the same name. */
export function tagId(u: string, tag: string): string {
  return `${u}.${tag}`;
}

export interface RunnableTag {
  /** See {@link tagId}. */
  id: string;
  grant: Grant;
  /** Short user. */
  u: string;
  tag: string;
  manifest: Manifest;
  tagKey: Uint8Array;
  options: TagOptions;
  /** As its queue said when it was read: messages that may be in workers' hands at once; 0 for no limit. */
  concurrency: number;
  /** Messages that waited for a worker when its queue was read. */
  waiting: number;
  verifier: CallVerifier;
  control: TagControl;
  /** Why none of its calls is run, for good; absent where they are. */
  refusal?: string;
}

/** @throws RefusedError where the record is of another tag than the one it lies under */
function checkOwner(
  record: { rootKey: Uint8Array; user: string; tag: string },
  { rootKey, user, tag }: { rootKey: Uint8Array; user: string; tag: string },
): void {
  const same = Buffer.compare(record.rootKey, rootKey) === 0;
  if (!same || record.user !== user || record.tag !== tag) {
    throw new RefusedError(`what the broker holds as ${tag} is a record of something else`);
  }
}

function openManifest(signed: Uint8Array, grant: Grant): Manifest {
  try {
    return openSigned(manifestRecord, signed, grant.signingKey, grant.name);
  } catch (cause) {
    if (!(cause instanceof VersionError)) throw cause;
    const { found, expected } = cause;
    throw new VersionError(
      `it was submitted by humq protocol ${found}, this worker (${VERSION}) speaks ${expected}: ` +
        (found > expected ? "update humq on this worker" : "update humq where it was submitted, and submit again"),
      found,
      expected,
      { cause },
    );
  }
}

/** The tag's key, with whichever of the datacenter's keys opens it: older tags were made for an older one. */
function keyOf(session: Session, datacenter: string, { rootKey, user, tag, keys }: Manifest): Uint8Array | undefined {
  for (const agreement of agreementsOf(session, datacenter)) {
    const tagKey = unwrapKey(keys, agreement, { rootKey, user, tag });
    if (tagKey !== undefined) return tagKey;
  }
  return undefined;
}

/** The tag's submitter may have added this datacenter since, or given it the tag's key anew. */
function readAddedKeys(reader: StreamReader, u: string, owner: AddedOwner): Promise<Added> {
  return readAdded((number) => reader.next(streamOf.tags(u), subjectOf.keys(u, owner.tag, number)), owner);
}

/**
 * Opens a manifest that was heard live.
 * @returns undefined where it is not for this datacenter, or too old
 * @throws RefusedError | DecodeError | VersionError as {@link readTag}
 */
export function foretell(
  session: Session,
  datacenter: string,
  grant: Grant,
  tag: string,
  heard: Uint8Array,
): Foretold | undefined {
  const owner = { rootKey: session.link.rootKey, user: grant.user, tag };
  const manifest = openManifest(heard, grant);
  checkOwner(manifest, owner);
  if (!manifest.datacenters.includes(datacenter) || Date.now() > manifest.notAfterMs) return undefined;
  const tagKey = keyOf(session, datacenter, manifest);
  if (tagKey === undefined) return undefined;
  return {
    grant,
    heard: Uint8Array.from(heard),
    manifest,
    tagKey,
    options: openOptions(tagKey, owner, manifest.options),
  };
}

/**
 * Reads and checks a tag of `grant`'s holder.
 * @param foretold what was heard of tags before
 * @param closing its closing record as the broker holds it, where that is being read already
 * @returns undefined where there is nothing to run here: no such tag, not closed yet, for other datacenters, too old
 * @throws RefusedError | DecodeError where a check fails: what the broker holds is not what the user signed;
 *   VersionError where another version of humq submitted it
 */
export async function readTag(
  session: Session,
  datacenter: string,
  reader: StreamReader,
  grant: Grant,
  tag: string,
  foretold: ForetoldTags,
  closing?: Promise<Stored | null>,
): Promise<RunnableTag | undefined> {
  if (!isTagName(tag)) throw new RefusedError("what the broker holds under this name cannot be a tag");
  const u = shortUser(grant.user);
  const { signingKey, name } = grant;
  const owner = { rootKey: session.link.rootKey, user: grant.user, tag };
  // All at once, so that a call that somebody waits for waits for one answer of the broker only.
  const rest = Promise.all([readRecords(reader, u, { ...owner, signingKey, name }), readQueue(session.nc, u, tag)]);
  rest.catch(() => undefined);
  const [storedManifest, storedClosing, added] = await Promise.all([
    reader.next(streamOf.tags(u), subjectOf.manifest(u, tag)),
    closing ?? reader.next(streamOf.tags(u), subjectOf.close(u, tag)),
    readAddedKeys(reader, u, { ...grant, ...owner }),
  ]);
  if (storedManifest === null || storedClosing === null) return undefined;
  const known = foretold.take(tagId(u, tag), grant, storedManifest.data);
  const signed = known?.manifest ?? openManifest(storedManifest.data, grant);
  checkOwner(signed, owner);
  checkOwner(openSigned(closingRecord, storedClosing.data, grant.signingKey, grant.name), owner);
  if (Date.now() > signed.notAfterMs) return undefined;
  const manifest = withAdded(signed, added);
  if (!manifest.datacenters.includes(datacenter)) return undefined;
  const tagKey = known?.tagKey ?? keyOf(session, datacenter, manifest);
  if (tagKey === undefined) {
    throw new RefusedError(
      `the key of ${tag} is not wrapped for datacenter ${datacenter}, as far as its keys are on this machine. ` +
        "Was its key replaced? Then copy its seeds here, and start the worker again; or the tag's submitter gives it the key " +
        `anew: humq share ${tag} --datacenter ${datacenter}`,
    );
  }
  const options = known?.options ?? openOptions(tagKey, owner, manifest.options);
  const [records, queue] = await rest;
  const control = TagControl.open(reader, u, { ...owner, signingKey, name, tagKey }, records);
  if (control.state.deleted) return undefined;
  return {
    id: tagId(u, tag),
    grant,
    u,
    tag,
    manifest,
    tagKey,
    options,
    concurrency: queue?.concurrency ?? options.concurrency,
    waiting: queue?.pending ?? 0,
    verifier: new CallVerifier(owner, signingKey),
    control,
  };
}
