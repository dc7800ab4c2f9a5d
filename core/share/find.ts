/** Naming tags: one's own first, then those that others share. */
import { Archive } from "../archive/index.ts";
import { InstanceError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import type { TagAccess } from "../tag/access.ts";
import { openLiveTag } from "../tag/expiry.ts";
import { findTag } from "../tag/list.ts";
import { findShared, namesOwner, type SharedTag, sharedWithMe } from "./others.ts";

/**
 * @param name of a tag of one's own, as `findTag` takes it, or of one that is shared: `TAG` or `NAME:TAG`
 * @returns the full name of one's own tag, or what is shared
 * @throws InstanceError where there is none; UsageError where there are several
 */
export async function findAnyTag(session: Session, name: string): Promise<string | SharedTag> {
  if (namesOwner(name)) {
    const shared = await findShared(session, name);
    if (shared !== undefined) return shared;
    throw new InstanceError(`no tag ${name} is shared with you on "${session.instance.name}"`);
  }
  try {
    return await findTag(session, name);
  } catch (error) {
    if (!(error instanceof InstanceError) || name === "last") throw error;
    const shared = await findShared(session, name);
    if (shared === undefined) throw error;
    return shared;
  }
}

/** @throws InstanceError where the tag is somebody else's */
export function checkOwn({ identity }: Session, archive: Archive): void {
  const user = archive.getMeta("user");
  if (user === undefined || user === identity.user) return;
  throw new InstanceError(
    `${archive.getMeta("tag")} is somebody else's, who shares its results with you: only they can change or delete it, or read anything else of it`,
  );
}

/** The tag of an archive, for its owner. @throws InstanceError where it is somebody else's, or has expired */
export function openOwn(session: Session, archive: Archive): Promise<TagAccess> {
  checkOwn(session, archive);
  return openLiveTag(session, archive.getMeta("tag") ?? "");
}

/**
 * What is shared of somebody else's tag, by its archive.
 * @returns undefined where the tag is one's own
 * @throws InstanceError where it is not shared any more
 */
export async function sharedOf(session: Session, archive: Archive): Promise<SharedTag | undefined> {
  const [tag, user] = [archive.getMeta("tag"), archive.getMeta("user")];
  if (user === undefined || user === session.identity.user) return undefined;
  const found = (await sharedWithMe(session)).find(({ owner, share }) => owner.user === user && share.tag === tag);
  if (found !== undefined) return found;
  throw new InstanceError(
    `${tag} is somebody else's, and is not shared with you (any more). What was pulled is in ${archive.path}`,
  );
}

/** A temporary archive for what is shared; its `user` says that the tag is somebody else's. */
export function newSharedArchive({ instance }: Session, { owner, share }: SharedTag): Archive {
  const archive = Archive.createTemporary();
  archive.setMeta("tag", share.tag);
  archive.setMeta("instance", instance.name);
  archive.setMeta("user", owner.user);
  archive.setMeta("task", share.task);
  archive.setMeta("createdMs", share.createdMs);
  archive.setMeta("expiresMs", share.notAfterMs);
  archive.setMeta("calls", share.calls);
  return archive;
}
