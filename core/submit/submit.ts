/** Sending a new tag: code, manifest, calls in signed pages, closing record. */
import { randomBytes, randomUUID } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { Archive } from "../archive/index.ts";
import { clocksApart, serverTime } from "../broker/clock.ts";
import { expiryOf, manifestExpiry } from "../broker/expiry.ts";
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { purgeManager } from "../broker/purge.ts";
import { createQueue } from "../broker/queue.ts";
import { deleteTag } from "../control/delete.ts";
import { InstanceError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import type { CheckedOptions } from "../options.ts";
import { rememberFresh } from "../tag/fresh.ts";
import { PAGE_MESSAGES } from "../trust/call.ts";
import { sealCode } from "../trust/code.ts";
import { KEY_BYTES } from "../trust/keys.ts";
import { type Manifest, manifestRecord } from "../trust/manifest.ts";
import { sealOptions, type TagOptions } from "../trust/options.ts";
import { signRecord } from "../trust/signed.ts";
import { wrapKey } from "../trust/wrap.ts";
import { needOf } from "../watch/able.ts";
import { Claim } from "./claim.ts";
import { storeCode } from "./code.ts";
import { chooseDatacenters } from "./datacenters.ts";
import type { TagContext } from "./messages.ts";
import { sendAndClose } from "./send.ts";
import { type CallSource, CallsFailed } from "./source.ts";
import { SafeStore } from "./store.ts";
import { warning, warnOfWorkers } from "./warning.ts";

/** A task as it is submitted. */
export interface CapturedTask {
  name: string;
  /** What `capture` gave. */
  code: Uint8Array;
}

/** What the manifest holds of a submit's options. */
export function tagOptionsOf(options: CheckedOptions, taskName: string, codeKey: Uint8Array): TagOptions {
  return { ...options, taskName, codeKey };
}

/** The archive of a tag that is being submitted, in a temporary file. */
export function newArchive(
  session: Session,
  { tag, createdMs, notAfterMs }: Pick<Manifest, "tag" | "createdMs" | "notAfterMs">,
  task: string,
): Archive {
  const archive = Archive.createTemporary();
  archive.setMeta("tag", tag);
  archive.setMeta("instance", session.instance.name);
  archive.setMeta("user", session.identity.user);
  archive.setMeta("task", task);
  archive.setMeta("createdMs", createdMs);
  archive.setMeta("expiresMs", notAfterMs);
  return archive;
}

/**
 * The time that the manifest tells: the later of this machine's and the broker's, as workers count.
 * @throws InstanceError where the two are more than two minutes apart
 */
async function createdNow({ nc }: Session): Promise<number> {
  const serverMs = await serverTime(nc);
  const hereMs = Date.now();
  if (serverMs === undefined) return hereMs;
  const apart = clocksApart(hereMs, serverMs);
  if (apart === undefined) return Math.max(hereMs, Math.round(serverMs));
  throw new InstanceError(`${apart}. Set the clock (NTP): what is submitted is dated by it.`);
}

/** Nothing is left of a tag whose manifest or queue the broker did not take, as far as the broker can be reached. */
async function removeTag(nc: NatsConnection, u: string, tag: string): Promise<void> {
  try {
    const { streams } = await purgeManager(nc);
    await streams.purge(streamOf.calls(u), { filter: subjectOf.call(u, tag, "*") });
    await streams.purge(streamOf.tags(u), { filter: subjectOf.manifest(u, tag) });
  } catch {
    // It goes when its time is over.
  }
}

/** Where the calls have failed nothing is left of the tag. */
async function withdraw(session: Session, tag: string, quiet: boolean): Promise<void> {
  try {
    await deleteTag(session, tag);
  } catch (error) {
    if (!quiet)
      warning(
        `what was sent of ${tag} could not be removed: ${(error as Error).message}. Nothing of it runs; remove it: humq delete ${tag}`,
      );
  }
}

/**
 * Sends calls as a new tag.
 * @returns the archive of the new tag, in a temporary file
 * @throws CallsFailed where the source fails; what was sent is removed then
 */
export async function submitTag(
  session: Session,
  task: CapturedTask,
  source: CallSource,
  options: CheckedOptions,
): Promise<Archive> {
  const { nc, identity, link } = session;
  const { user, signer } = identity;
  const { chunkSize, quiet } = options;
  const name = `${options.label}_${randomUUID()}`;
  const u = shortUser(user);
  const owner = { rootKey: link.rootKey, user, tag: name };
  const store = await SafeStore.open(nc, quiet ? undefined : warning);
  const [createdMs, datacenters] = await Promise.all([
    createdNow(session),
    store.persist(() => chooseDatacenters(session, options.datacenters)),
  ]);
  const lifetime = { createdMs, notAfterMs: createdMs + options.retentionMs };
  const tag: TagContext = { ...owner, tagKey: Uint8Array.from(randomBytes(KEY_BYTES)), u, ...expiryOf(lifetime) };
  const names = datacenters.map((datacenter) => datacenter.name);
  const warned = quiet ? undefined : warnOfWorkers(session, needOf(names, options));
  const code = sealCode(identity.codeSecret, owner, task.code);
  const readers = [identity.agreement.publicKey, ...datacenters.map((datacenter) => datacenter.encryptionKey)];
  const tagOptions = tagOptionsOf(options, task.name, code.key);
  const manifest = {
    ...owner,
    ...lifetime,
    datacenters: names,
    keys: readers.map((key) => wrapKey(tag.tagKey, key, owner)),
    code: code.reference,
    options: sealOptions(tag.tagKey, owner, tagOptions),
  };
  const { retentionMs } = options;
  const data = signRecord(manifestRecord, manifest, signer);
  const prepared = Promise.all([
    storeCode(store, user, code, lifetime.notAfterMs),
    store.persist(() => createQueue(nc, u, name, options.concurrency, { retentionMs })),
    store.once(streamOf.tags(u), { subject: subjectOf.manifest(u, name), data, ...manifestExpiry(lifetime) }),
  ]);
  // Many calls wait until the broker has all that; few go along with it, and are removed again where it does not take it.
  const isSmall = source.length !== undefined && source.length <= PAGE_MESSAGES;
  let archive: Archive | undefined;
  try {
    if (!isSmall) await prepared;
    const closing = await sendAndClose(session, store, {
      tag,
      lifetime,
      source,
      chunkSize,
      quiet,
      archive: () => {
        archive ??= newArchive(session, manifest, task.name);
        return archive;
      },
      claim: new Claim(store, u, name),
      prepared,
    });
    await warned;
    const made = archive ?? newArchive(session, manifest, task.name);
    made.setMeta("calls", closing.calls);
    rememberFresh(made, {
      u,
      manifest,
      signingKey: signer.publicKey,
      tagKey: tag.tagKey,
      options: tagOptions,
      closing,
    });
    return made;
  } catch (error) {
    archive?.close();
    if (isSmall) await prepared.catch(() => removeTag(nc, u, name));
    if (error instanceof CallsFailed) await withdraw(session, name, quiet);
    throw error;
  }
}
