/** The tags that the broker holds for a submitter. */
import { RETENTION_MS } from "../broker/expiry.ts";
import { parseTagSubject, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { sweepExpired } from "../control/sweep.ts";
import { DecodeError, InstanceError, RefusedError, UsageError, VersionError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { warning } from "../submit/warning.ts";
import { closingRecord, manifestRecord } from "../trust/manifest.ts";
import { openSigned } from "../trust/signed.ts";
import { PROTOCOL } from "../version.ts";

export interface ListedTag {
  tag: string;
  /** Milliseconds since 1970. */
  createdMs: number;
  /** From then on nothing of it runs and nothing is kept; the name is remembered for a week. Milliseconds since 1970. */
  expiresMs: number;
  datacenters: string[];
  /** Number of calls; undefined where the submit did not end. */
  calls: number | undefined;
  /** Of a half-submitted tag: number of calls that are stored, where it was asked for. */
  stored?: number;
  /** What the humq that submitted it speaks; where that is not what is spoken here, nothing else is known of the tag. */
  protocol: number;
  /** Of a tag that somebody else shares: their name. {@link expiresMs} says when the share ends then. */
  sharedBy?: string;
}

/** Whether its submit was cut off, or goes on still. */
export function isHalfSubmitted({ calls, expiresMs, protocol }: ListedTag): boolean {
  return calls === undefined && expiresMs >= Date.now() && protocol === PROTOCOL;
}

/**
 * What is read, or the version in which another humq wrote it; undefined where it is not what the submitter signed. One
 * altered record is not to hide all tags.
 */
function readable<T>(tag: string, read: () => T): T | number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof VersionError) return error.found;
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    warning(`passing over a record of ${tag} on the broker: ${error.message}`);
    return undefined;
  }
}

/** All tags, the oldest first. What is left of those that have expired is removed in passing. */
export async function listTags(session: Session): Promise<ListedTag[]> {
  const { identity } = session;
  const u = shortUser(identity.user);
  const reader = await StreamReader.open(session.nc);
  const signingKey = identity.signer.publicKey;
  const tags = new Map<string, ListedTag>();
  for await (const stored of reader.all(streamOf.tags(u), subjectOf.manifest(u, "*"))) {
    const { tag: name } = parseTagSubject(stored.subject);
    const manifest = readable(name, () => openSigned(manifestRecord, stored.data, signingKey, "you"));
    if (typeof manifest === "number") {
      const { timeMs: createdMs } = stored;
      const unknown = { expiresMs: createdMs + RETENTION_MS, datacenters: [], calls: undefined };
      tags.set(name, { tag: name, createdMs, ...unknown, protocol: manifest });
    } else if (manifest?.tag === name) {
      const { tag, createdMs, notAfterMs: expiresMs, datacenters } = manifest;
      tags.set(name, { tag, createdMs, expiresMs, datacenters, calls: undefined, protocol: PROTOCOL });
    }
  }
  for await (const stored of reader.all(streamOf.tags(u), subjectOf.close(u, "*"))) {
    const { tag: name } = parseTagSubject(stored.subject);
    const closing = readable(name, () => openSigned(closingRecord, stored.data, signingKey, "you"));
    if (closing === undefined || typeof closing === "number") continue;
    const listed = tags.get(closing.tag);
    if (listed !== undefined && closing.tag === name) listed.calls = closing.calls;
  }
  await sweepExpired(
    session,
    [...tags.values()].filter(({ protocol }) => protocol === PROTOCOL),
  );
  return [...tags.values()].sort((a, b) => a.createdMs - b.createdMs);
}

/**
 * The full name of the tag that `name` means: a name, an unambiguous beginning of one, or `last`.
 * @throws InstanceError where there is none; UsageError where there are several
 */
export async function findTag(session: Session, name: string): Promise<string> {
  const tags = (await listTags(session)).map(({ tag }) => tag);
  if (name === "last") {
    const last = tags.at(-1);
    if (last === undefined) throw new InstanceError(`you have no tags on "${session.instance.name}"`);
    return last;
  }
  if (tags.includes(name)) return name;
  const matching = tags.filter((tag) => tag.startsWith(name));
  if (matching.length === 1) return matching[0]!;
  if (matching.length > 1) {
    throw new UsageError(
      `${JSON.stringify(name)} is the beginning of ${matching.length} tags: ${matching.slice(0, 5).join(", ")}${matching.length > 5 ? ", ..." : ""}. Give more of the name.`,
    );
  }
  throw new InstanceError(`no tag of yours on "${session.instance.name}" begins with ${JSON.stringify(name)}`);
}
