/** Sending a tag: code, manifest, calls in signed pages, closing record. */
import { randomBytes, randomUUID } from "node:crypto";
import { Archive } from "../archive/index.ts";
import { expiryOf, manifestExpiry, recordExpiry } from "../broker/expiry.ts";
import { Lanes } from "../broker/lanes.ts";
import { HUB_STREAMS, IMPORTED_API, shortUser, subjectOf } from "../broker/names.ts";
import { BATCH_MESSAGES, type Message, publish, publishBatch } from "../broker/publish.ts";
import { createQueue } from "../broker/queue.ts";
import { StreamReader } from "../broker/read.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { checkInstance } from "../instance/protocol.ts";
import type { Session } from "../instance/session.ts";
import type { CheckedOptions } from "../options.ts";
import { showProgress } from "../progress.ts";
import { nearest } from "../suggest.ts";
import { sealCode } from "../trust/code.ts";
import { type Datacenter, openDirectory } from "../trust/grant.ts";
import { KEY_BYTES } from "../trust/keys.ts";
import { closingRecord, manifestRecord } from "../trust/manifest.ts";
import { sealOptions } from "../trust/options.ts";
import { signRecord } from "../trust/signed.ts";
import { wrapKey } from "../trust/wrap.ts";
import { storeCode } from "./code.ts";
import { type Page, type Part, signedPages, type TagContext } from "./messages.ts";
import type { Recorder } from "./recorder.ts";

/** An atomic batch costs about 2.4 ms whatever its size, so fewer messages than this go singly, side by side. */
const BATCH_WORTH = 150;
const BATCHES_AT_ONCE = 2;
const SINGLES_AT_ONCE = 64;
const PARTS_AT_ONCE = 8;
const BATCH_BYTES = 16 * 2 ** 20;

/** The datacenters that will be able to open the tag. */
async function chooseDatacenters(session: Session, wanted: readonly string[] | undefined): Promise<Datacenter[]> {
  const reader = await StreamReader.open(session.nc, IMPORTED_API);
  const stored = await reader.last(HUB_STREAMS.grants, subjectOf.directory());
  const directory = stored === null ? undefined : openDirectory(stored.data, session.link.rootKey);
  if (directory !== undefined) checkInstance(directory, session.instance.name);
  const known = directory?.datacenters ?? [];
  const { datacenters: allowed } = session.grant;
  const served = known.filter(({ name }) => allowed.length === 0 || allowed.includes(name));
  if (wanted === undefined) {
    if (served.length > 0) return served;
    throw new InstanceError(
      `no datacenter of "${session.instance.name}" serves you yet. Its owner grants one: humq grant REQUEST NAME --role worker`,
    );
  }
  return wanted.map((name) => {
    const found = served.find((datacenter) => datacenter.name === name);
    if (found !== undefined) return found;
    const names = served.map((datacenter) => datacenter.name);
    const hint = nearest(name, names);
    throw new UsageError(
      `no datacenter "${name}" serves you (those that do: ${names.join(", ") || "none"})${hint === undefined ? "" : `. Did you mean ${hint}?`}`,
    );
  });
}

/** Stores messages of one stream: in atomic batches where that pays, else singly side by side. */
class CallUploader {
  readonly #session: Session;
  readonly #lanes: Lanes;
  #waiting: Message[] = [];
  #bytes = 0;

  constructor(session: Session, total: number) {
    this.#session = session;
    this.#lanes = new Lanes(total < BATCH_WORTH ? SINGLES_AT_ONCE : BATCHES_AT_ONCE);
  }

  async add(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      if (this.#waiting.length === BATCH_MESSAGES || this.#bytes + message.data.length > BATCH_BYTES)
        await this.#flush();
      this.#waiting.push(message);
      this.#bytes += message.data.length;
    }
  }

  async #flush(): Promise<void> {
    const { nc } = this.#session;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (batch.length >= BATCH_WORTH) await this.#lanes.run(() => publishBatch(nc, batch));
    else for (const message of batch) await this.#lanes.run(() => publish(nc, message));
  }

  async done(): Promise<void> {
    await this.#flush();
    await this.#lanes.done();
  }
}

/** Remembers the hash of each call, to which its outcome must be bound. */
function keepHashes(archive: Archive, page: Page): void {
  for (const { first, count, hash } of page.calls)
    archive.putHashes(
      first,
      Array.from({ length: count }, () => hash),
    );
}

async function sendCalls(
  session: Session,
  tag: TagContext,
  calls: Recorder,
  options: CheckedOptions,
  archive: Archive,
) {
  const { nc, identity } = session;
  const messages = Math.ceil(calls.length / options.chunkSize);
  const uploader = new CallUploader(session, messages);
  const spill = async (parts: Part[]) => {
    const lanes = new Lanes(PARTS_AT_ONCE);
    for (const part of parts) await lanes.run(() => publish(nc, part));
    await lanes.done();
  };
  const progress = showProgress("submit", calls.length, options.quiet);
  try {
    for await (const page of signedPages(tag, calls, options.chunkSize, identity.signer, spill)) {
      keepHashes(archive, page);
      await uploader.add(page.messages);
      const last = page.calls.at(-1)!;
      progress.update(last.first + last.count);
    }
    await uploader.done();
  } finally {
    progress.stop();
  }
  return { calls: calls.length, messages };
}

/**
 * Sends recorded calls as a new tag.
 * @param code what `capture` gave
 * @returns the archive of the new tag, in a temporary file
 */
export async function submitTag(
  session: Session,
  task: { name: string; code: Uint8Array },
  calls: Recorder,
  options: CheckedOptions,
): Promise<Archive> {
  const { nc, identity, link } = session;
  const { user, signer } = identity;
  const name = `${options.label}_${randomUUID()}`;
  const u = shortUser(user);
  const owner = { rootKey: link.rootKey, user, tag: name };
  const createdMs = Date.now();
  const lifetime = { createdMs, notAfterMs: createdMs + options.retentionMs };
  const tag: TagContext = { ...owner, tagKey: Uint8Array.from(randomBytes(KEY_BYTES)), u, ...expiryOf(lifetime) };
  const datacenters = await chooseDatacenters(session, options.datacenters);
  const code = sealCode(identity.codeSecret, owner, task.code);
  await Promise.all([
    storeCode(nc, user, code, lifetime.notAfterMs),
    createQueue(nc, u, name, options.concurrency, { retentionMs: options.retentionMs }),
  ]);
  const { label: _, quiet: __, instance: ___, datacenters: ____, retentionMs: _____, ...workerOptions } = options;
  const readers = [identity.agreement.publicKey, ...datacenters.map((datacenter) => datacenter.encryptionKey)];
  const manifest = {
    ...owner,
    ...lifetime,
    datacenters: datacenters.map((datacenter) => datacenter.name),
    keys: readers.map((key) => wrapKey(tag.tagKey, key, owner)),
    code: code.reference,
    options: sealOptions(tag.tagKey, owner, { ...workerOptions, taskName: task.name, codeKey: code.key }),
  };
  const manifestMessage = { subject: subjectOf.manifest(u, name), data: signRecord(manifestRecord, manifest, signer) };
  await publish(nc, { ...manifestMessage, ...manifestExpiry(lifetime) });
  const archive = Archive.createTemporary();
  try {
    archive.setMeta("tag", name);
    archive.setMeta("instance", session.instance.name);
    archive.setMeta("user", user);
    archive.setMeta("task", task.name);
    archive.setMeta("createdMs", createdMs);
    archive.setMeta("expiresMs", lifetime.notAfterMs);
    archive.setMeta("calls", calls.length);
    const closing = { ...owner, ...(await sendCalls(session, tag, calls, options, archive)) };
    const closingMessage = { subject: subjectOf.close(u, name), data: signRecord(closingRecord, closing, signer) };
    await publish(nc, { ...closingMessage, ...recordExpiry(lifetime) });
    return archive;
  } catch (error) {
    archive.close();
    throw error;
  }
}
