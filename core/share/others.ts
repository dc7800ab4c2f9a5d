/** What others share with one. */
import { MOST_CALLS } from "../archive/index.ts";
import { Lanes } from "../broker/lanes.ts";
import { HUB_STREAMS, IMPORTED_API, isName, isTagName, shortUser, subjectOf } from "../broker/names.ts";
import { type Stored, StreamReader } from "../broker/read.ts";
import { BrokerError, DecodeError, InstanceError, RefusedError, UsageError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import type { Person } from "../trust/person.ts";
import { claimedSharer, openEntries, openShares, type Share } from "../trust/share.ts";
import { findPerson, isNotOffered } from "./people.ts";

/** A tag that somebody shares with one. */
export interface SharedTag {
  owner: Person;
  share: Share;
}

const AT_ONCE = 32;

/** Signed by the sharer, and still not to be trusted with what it names: names become those of files, and parts of subjects. */
function isUsable({ tag, datacenters, calls, expiresMs }: Share): boolean {
  return isTagName(tag) && datacenters.every(isName) && calls > 0 && calls <= MOST_CALLS && expiresMs > Date.now();
}

async function openOf(session: Session, { subject, data }: Stored): Promise<SharedTag[]> {
  const { identity, link } = session;
  const owner = await findPerson(session, claimedSharer(data));
  if (owner.user === identity.user || subject !== subjectOf.shares(shortUser(owner.user))) return [];
  const { entries } = openShares(data, owner);
  const to = { user: identity.user, encryptionKey: identity.agreement.publicKey };
  return openEntries(entries, identity.agreement, { rootKey: link.rootKey, from: owner, to })
    .filter(isUsable)
    .map((share) => ({ owner, share }));
}

/** Tags that others share with one now, the oldest first. What is no proper record of its sender is passed over. */
export async function sharedWithMe(session: Session): Promise<SharedTag[]> {
  const reader = await StreamReader.open(session.nc, IMPORTED_API);
  const found: SharedTag[] = [];
  const lanes = new Lanes(AT_ONCE);
  try {
    for await (const stored of reader.all(HUB_STREAMS.shares, subjectOf.shares("*"))) {
      await lanes.run(async () => {
        try {
          found.push(...(await openOf(session, stored)));
        } catch (error) {
          const isTheirs =
            error instanceof RefusedError ||
            error instanceof DecodeError ||
            error instanceof InstanceError ||
            error instanceof UsageError;
          if (!isTheirs) throw error;
        }
      });
    }
    await lanes.done();
  } catch (error) {
    // An instance or a user from before there was sharing.
    if (error instanceof BrokerError && isNotOffered(error)) return [];
    throw error;
  }
  return found.sort((a, b) => a.share.createdMs - b.share.createdMs);
}

/** `NAME:TAG` says whose tag is meant. */
function parse(name: string): { owner: string | undefined; tag: string } {
  const [owner, tag] = name.split(":");
  return tag === undefined ? { owner: undefined, tag: name } : { owner, tag };
}

/** Whether only tags of others can be meant. */
export function namesOwner(name: string): boolean {
  return parse(name).owner !== undefined;
}

/**
 * The tag of somebody else's that `name` means: `NAME:TAG` or `TAG`, where TAG is a name or an unambiguous beginning of one.
 * @returns undefined where there is none
 * @throws UsageError where there are several
 */
export async function findShared(session: Session, name: string): Promise<SharedTag | undefined> {
  const wanted = parse(name);
  const shared = (await sharedWithMe(session)).filter(
    ({ owner }) => wanted.owner === undefined || wanted.owner === owner.name,
  );
  const exact = shared.filter(({ share }) => share.tag === wanted.tag);
  const found = exact.length > 0 ? exact : shared.filter(({ share }) => share.tag.startsWith(wanted.tag));
  if (found.length < 2) return found[0];
  const names = found.slice(0, 5).map(({ owner, share }) => `${owner.name}:${share.tag}`);
  throw new UsageError(
    `${JSON.stringify(name)} can mean ${found.length} tags that are shared with you: ${names.join(", ")}${found.length > 5 ? ", ..." : ""}. Give one of these.`,
  );
}
