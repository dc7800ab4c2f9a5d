/** Reading a tag that somebody else shares: a login of its own, with which only this tag can be asked for. */
import type { NatsConnection } from "@nats-io/transport-node";
import { connectBroker } from "../broker/connect.ts";
import { IMPORTED_API, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { StreamReader } from "../broker/read.ts";
import { readerInbox } from "../broker/readers.ts";
import { ControlState, openRetry, RetryRecords } from "../control/state.ts";
import { BrokerError, InstanceError, RefusedError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import type { OutcomeAccess } from "../tag/outcome.ts";
import { readAdded, withAdded } from "../trust/added.ts";
import { closingRecord, type Manifest, manifestRecord } from "../trust/manifest.ts";
import type { Person } from "../trust/person.ts";
import { kindKeysOf, type Share } from "../trust/share.ts";
import { openSigned } from "../trust/signed.ts";
import type { SharedTag } from "./others.ts";

export interface SharedAccess extends OutcomeAccess {
  nc: NatsConnection;
  owner: Person;
  share: Share;
  reader: StreamReader;
  manifest: Manifest;
  callsHidden: true;
  /** Calls in a message; see the closing record. */
  chunkSize: number;
}

async function logIn(session: Session, { owner, share }: SharedTag): Promise<NatsConnection> {
  const { link, identity } = session;
  const { login: jwt, expiresMs, tag } = share;
  const login = { jwt, key: identity.login, name: "humq reader", expiresMs, inboxPrefix: readerInbox(identity.user) };
  try {
    return await connectBroker(link, login);
  } catch (cause) {
    if (!(cause instanceof BrokerError) || !cause.message.includes("does not let this identity in")) throw cause;
    throw new InstanceError(
      `the broker does not let you read ${tag} of ${owner.name} any more: the share was taken back or is over, or the grant ` +
        `of one of you was changed since. Ask ${owner.name} to share it again: humq share ${tag} ${session.grant.name}`,
      { cause },
    );
  }
}

/**
 * @throws InstanceError where the tag is not there any more; RefusedError where what the broker holds is not what its owner
 *   signed
 */
async function openManifest(reader: StreamReader, { owner, share }: SharedTag) {
  const u = shortUser(owner.user);
  const { tag, calls } = share;
  const [storedManifest, storedClosing] = await Promise.all([
    reader.last(streamOf.tags(u), subjectOf.manifest(u, tag)),
    reader.last(streamOf.tags(u), subjectOf.close(u, tag)),
  ]);
  if (storedManifest === null || storedClosing === null) {
    throw new InstanceError(`${tag}, which ${owner.name} shares with you, is not on the broker any more`);
  }
  const manifest = openSigned(manifestRecord, storedManifest.data, owner.signingKey, owner.name);
  const closing = openSigned(closingRecord, storedClosing.data, owner.signingKey, owner.name);
  for (const record of [manifest, closing]) {
    const same = Buffer.compare(record.rootKey, owner.rootKey) === 0 && record.user === owner.user;
    if (!same || record.tag !== tag)
      throw new RefusedError(`what the broker holds as ${tag} is a record of something else`);
  }
  const from = { ...owner, tag };
  const added = await readAdded((number) => reader.last(streamOf.tags(u), subjectOf.keys(u, tag, number)), from);
  if (closing.calls !== calls)
    throw new RefusedError(`${tag} has ${closing.calls} calls, and was shared as one of ${calls}`);
  return { manifest: withAdded(manifest, added), chunkSize: closing.chunkSize };
}

/** Runs `action` with a login to the tag, which ends with it. */
export async function withShared<T>(
  session: Session,
  shared: SharedTag,
  action: (access: SharedAccess) => Promise<T>,
): Promise<T> {
  const nc = await logIn(session, shared);
  try {
    const { owner, share } = shared;
    const reader = await StreamReader.open(nc, IMPORTED_API);
    const { manifest, chunkSize } = await openManifest(reader, shared);
    const u = shortUser(owner.user);
    const { signingKey } = owner;
    const tagKey = kindKeysOf(share.keys);
    return await action({ nc, owner, share, reader, u, manifest, signingKey, tagKey, callsHidden: true, chunkSize });
  } finally {
    await nc.close();
  }
}

/** Which calls were sent anew by the tag's owner. */
export async function readRetries({ reader, u, owner, manifest }: SharedAccess): Promise<ControlState> {
  const { tag } = manifest;
  const retries = new RetryRecords(manifest);
  for (let number = 1; ; number++) {
    const stored = await reader.last(streamOf.tags(u), subjectOf.retry(u, tag, number));
    if (stored === null) return new ControlState(undefined, retries.all);
    retries.add(openRetry(stored.data, { ...owner, tag }, number));
  }
}
