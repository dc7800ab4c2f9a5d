/** Letting others read a tag's results. */
import { readerJwt } from "../broker/readers.ts";
import { parseDuration } from "../duration.ts";
import { InstanceError, UsageError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { checkKnown } from "../options.ts";
import { shown } from "../shown.ts";
import type { TagAccess } from "../tag/access.ts";
import { readingKeysOf } from "../trust/share.ts";
import { changeGiven, readGiven } from "./mine.ts";
import { findPerson, findSelf } from "./people.ts";

export interface ShareOptions {
  /** For how long: `"7d"`, `"12h"`, or seconds. Default: as long as the broker keeps the tag. */
  expires?: string | number;
}

const SHARE_OPTIONS = ["expires"] as const satisfies (keyof ShareOptions)[];

/** Somebody who may read a tag. */
export interface SharedWith {
  tag: string;
  name: string;
  /** Milliseconds since 1970. */
  sharedMs: number;
  /** When it ends: when it was said to, with the tag, or with the reader's grant. Milliseconds since 1970. */
  expiresMs: number;
}

/** Whose end is the share's: what was asked for, the tag's, one's own grant's, or the reader's grant's. */
export type EndsWith = "option" | "tag" | "mine" | "theirs";

/** A share that was made. */
export interface Made extends SharedWith {
  endsWith: EndsWith;
}

/** What ends first; a time of 0 is never. */
function firstEnd(ends: Readonly<Record<EndsWith, number>>): { endsWith: EndsWith; expiresMs: number } {
  const [first] = (Object.entries(ends) as [EndsWith, number][])
    .filter(([, ms]) => ms > 0)
    .sort(([, a], [, b]) => a - b);
  // The tag has an end always.
  const [endsWith, expiresMs] = first ?? ["tag", ends.tag];
  return { endsWith, expiresMs: Math.floor(expiresMs) };
}

function lifetimeMs({ expires }: ShareOptions): number {
  if (expires === undefined) return Number.POSITIVE_INFINITY;
  const forMs = parseDuration(expires, "share option expires");
  if (forMs > 0) return forMs;
  throw new UsageError(
    `share option expires: expected more than 0, got ${shown(expires)}; leave it out for as long as the tag`,
  );
}

export function checkShare(options: ShareOptions): void {
  checkKnown("share option", options, SHARE_OPTIONS);
  lifetimeMs(options);
}

/**
 * Lets somebody read what the tag's calls end with, now and later. Sharing again with the same person replaces it.
 * @param name as the owner granted it
 * @throws InstanceError where nobody is called so, or the tag's submit did not end; RefusedError where their grant is over
 */
export async function shareTag(access: TagAccess, name: string, options: ShareOptions = {}): Promise<Made> {
  const { session, manifest, closing, tagKey } = access;
  const { tag, createdMs, notAfterMs, datacenters } = manifest;
  if (closing === undefined)
    throw new InstanceError(`${tag} was not submitted to its end, so there is nothing to share`);
  if (name === session.grant.name) throw new UsageError(`${name} is you: name whom to share ${tag} with`);
  const [reader, self] = await Promise.all([findPerson(session, name), findSelf(session)]);
  const sharedMs = Date.now();
  // Grants of either side that end, end what is shared.
  const { endsWith, expiresMs } = firstEnd({
    option: sharedMs + lifetimeMs(options),
    tag: notAfterMs,
    mine: self.expiresMs,
    theirs: reader.expiresMs,
  });
  const { user, encryptionKey } = reader;
  const login = await readerJwt(session.identity.issuer, { account: self.readers, reader: user, tag, expiresMs });
  const share = {
    tag,
    task: access.options.taskName,
    createdMs,
    notAfterMs,
    calls: closing.calls,
    datacenters,
    sharedMs,
    expiresMs,
    login,
    keys: readingKeysOf(tagKey),
  };
  await changeGiven(session, (given) => [
    ...given.filter((other) => other.reader.user !== user || other.share.tag !== tag),
    { reader: { name, user, encryptionKey }, share },
  ]);
  return { tag, name, sharedMs, expiresMs, endsWith };
}

/** Whom the tag is shared with now. */
export async function sharesOf(session: Session, tag: string): Promise<SharedWith[]> {
  const given = await readGiven(session);
  return given
    .filter(({ share }) => share.tag === tag && share.expiresMs > Date.now())
    .map(({ reader: { name }, share: { sharedMs, expiresMs } }) => ({ tag, name, sharedMs, expiresMs }));
}

/**
 * Takes a share back.
 * @returns whether there was one
 */
export async function unshareTag(session: Session, tag: string, name: string): Promise<boolean> {
  let found = false;
  await changeGiven(session, (given) => {
    const left = given.filter(({ reader, share }) => reader.name !== name || share.tag !== tag);
    found = left.length < given.length;
    return left;
  });
  return found;
}
