/** What one shares with others: read from the hub, and written back whole. */
import { HUB_STREAMS, IMPORTED_API, shortUser, subjectOf } from "../broker/names.ts";
import { expectLast, isTaken, publish } from "../broker/publish.ts";
import { StreamReader } from "../broker/read.ts";
import { SHARES_BYTES } from "../broker/streams.ts";
import { BrokerError, InstanceError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import {
  openEntries,
  openReaders,
  openShares,
  type Party,
  type Reader,
  type Share,
  sealReaders,
  sealShare,
  signShares,
} from "../trust/share.ts";
import { isNotOffered } from "./people.ts";

/** One tag shared with one person. */
export interface Given {
  reader: Reader;
  share: Share;
}

interface Stored {
  given: Given[];
  /** Its place in the stream; 0 where there is none yet. */
  seq: number;
  issuedMs: number;
}

function selfOf({ identity }: Session): Party {
  return { user: identity.user, encryptionKey: identity.agreement.publicKey };
}

async function read(session: Session): Promise<Stored> {
  const { identity, link, grant, nc } = session;
  const { rootKey } = link;
  const reader = await StreamReader.open(nc, IMPORTED_API);
  const stored = await reader.next(HUB_STREAMS.shares, subjectOf.shares(shortUser(identity.user)));
  if (stored === null) return { given: [], seq: 0, issuedMs: 0 };
  const { user, signer, agreement } = identity;
  const shares = openShares(stored.data, { rootKey, user, name: grant.name, signingKey: signer.publicKey });
  const from = selfOf(session);
  const readers = openReaders(shares.readers, agreement, rootKey, from);
  const given = readers.flatMap((to, i) =>
    openEntries(shares.entries.slice(i, i + 1), agreement, { rootKey, from, to }).map((share) => ({
      reader: to,
      share,
    })),
  );
  return { given, seq: stored.seq, issuedMs: shares.issuedMs };
}

/** All that one shares, also what is over. */
export async function readGiven(session: Session): Promise<Given[]> {
  return (await read(session)).given;
}

/** A tag is deleted: nobody is told of it any more. */
export async function forgetShares(session: Session, tag: string): Promise<void> {
  const isOf = ({ share }: Given) => share.tag === tag;
  const given = await readGiven(session).catch((error: unknown) => {
    // A user or an instance from before there was sharing.
    if (error instanceof BrokerError && isNotOffered(error)) return [];
    throw error;
  });
  if (given.some(isOf)) await changeGiven(session, (all) => all.filter((each) => !isOf(each)));
}

/** Others of one's own programs may write at the same time. */
const TRIES = 10;

/**
 * Changes what one shares; what is over is left out in passing.
 * @param change gives the new list from the old one; called anew where another program was first
 */
export async function changeGiven(
  session: Session,
  change: (given: Given[]) => Promise<Given[]> | Given[],
): Promise<void> {
  const { identity, link, grant, nc } = session;
  const { user, signer, agreement } = identity;
  const { rootKey } = link;
  const from = selfOf(session);
  const subject = subjectOf.shares(shortUser(user));
  for (let tries = 1; ; tries++) {
    const { given, seq, issuedMs } = await read(session);
    const next = (await change(given)).filter(({ share }) => share.expiresMs > Date.now());
    const data = signShares(
      {
        rootKey,
        user,
        name: grant.name,
        issuedMs: Math.max(Date.now(), issuedMs + 1),
        readers: sealReaders(
          next.map(({ reader }) => reader),
          agreement,
          rootKey,
          from,
        ),
        entries: next.map(({ reader: to, share }) => sealShare(share, agreement, { rootKey, from, to })),
      },
      signer,
    );
    if (data.length > SHARES_BYTES) {
      throw new InstanceError(
        `you share ${next.length} times, more than there is room for (${SHARES_BYTES / 1024} KiB). Take back what is not ` +
          "needed any more: humq share TAG --list, humq share TAG NAME --remove",
      );
    }
    try {
      await publish(nc, { subject, data }, expectLast(subject, seq));
      return;
    } catch (error) {
      if (!isTaken(error) || tries === TRIES) throw error;
    }
  }
}
