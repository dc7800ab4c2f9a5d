/** Sending the calls of a tag and its closing record: all of a new one, or what is missing of one that was cut off. */
import type { Archive } from "../archive/index.ts";
import { recordExpiry } from "../broker/expiry.ts";
import { shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { atEnd } from "../ending.ts";
import { BrokerError, HumqError, InstanceError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { showProgress } from "../progress.ts";
import { halfText } from "../tag/half.ts";
import { PAGE_MESSAGES } from "../trust/call.ts";
import { type ClosingRecord, closingRecord, type Manifest } from "../trust/manifest.ts";
import { signRecord } from "../trust/signed.ts";
import type { Claim } from "./claim.ts";
import { type Page, signedPages, type TagContext } from "./messages.ts";
import type { CallSource } from "./source.ts";
import type { SafeStore } from "./store.ts";
import { PartUploader, Uploader } from "./upload.ts";

/** What is to be sent. */
export interface Sending {
  tag: TagContext;
  lifetime: Pick<Manifest, "createdMs" | "notAfterMs">;
  source: CallSource;
  chunkSize: number;
  quiet: boolean;
  /** The tag's archive, made when it is first asked for. */
  archive: () => Archive;
  claim: Claim;
  /** What has to be stored besides before the tag may be closed; its errors are told as they are. */
  prepared?: Promise<unknown>;
  /** Of a tag that is resumed: for each message 1 where it is stored. */
  stored?: Uint8Array;
}

/** Remembers the hash of each call, to which its outcome must be bound. */
function keepHashes(archive: Archive, page: Page): void {
  for (const { first, count, hash } of page.calls)
    archive.putHashes(
      first,
      Array.from({ length: count }, () => hash),
    );
}

/** @param onPage gets each page when it is on its way */
async function sendCalls(
  session: Session,
  store: SafeStore,
  sending: Sending,
  uploader: Uploader,
  onPage: (page: Page) => void,
): Promise<void> {
  const { tag, source, chunkSize, quiet, stored, claim } = sending;
  let apart = false;
  const argumentParts = new PartUploader(store, stored === undefined, () => claim.check());
  const isNew = stored === undefined;
  const progress = showProgress("submit", source.length, quiet);
  try {
    const pages = signedPages(tag, source, {
      chunkSize,
      signer: session.identity.signer,
      spill: (parts) => {
        apart = true;
        return argumentParts.add(parts);
      },
      spilled: () => argumentParts.done(),
      ...(!isNew && {
        isStored: (first) => stored[first / chunkSize] === 1,
        // Beyond those of the submit that was cut off.
        firstPage: Math.ceil(stored.length / PAGE_MESSAGES),
      }),
    });
    for await (const page of pages) {
      onPage(page);
      await uploader.add(page.messages);
      const last = page.calls.at(-1)!;
      progress.update(last.first + last.count);
    }
    await uploader.done();
    // Else there is nothing that somebody else could have replaced.
    if (apart) await claim.check();
  } finally {
    progress.stop();
  }
}

/**
 * Sends calls, then the closing record. Where it fails, or Ctrl-C ends it, the message says how to go on.
 * @throws what was the matter, with what became of the tag; CallsFailed where the source has failed
 */
export async function sendAndClose(session: Session, store: SafeStore, sending: Sending): Promise<ClosingRecord> {
  const { tag, source, chunkSize, stored, prepared, archive } = sending;
  const messages = source.length === undefined ? Number.POSITIVE_INFINITY : Math.ceil(source.length / chunkSize);
  // The hashes of one page are filed while the broker and the workers have their turn.
  const isOnePage = messages <= PAGE_MESSAGES;
  const late: Page[] = [];
  const notPrepared = prepared?.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const before = stored?.reduce((sum, isStored) => sum + isStored, 0) ?? 0;
  const uploader = new Uploader(store, tag.u, messages - before);
  const fate = () => {
    const { length } = source;
    const sent = Math.min((before + uploader.confirmed) * chunkSize, length ?? Number.POSITIVE_INFINITY);
    const all = length === undefined ? "" : ` of ${length.toLocaleString("en")}`;
    return (
      `${tag.tag} is ${halfText(sent)}${all}, and none of it runs. Finish it by the same submit ` +
      `once more, with --resume ${tag.tag} (in a script: submit({ resume: "${tag.tag}" })), or remove it: humq delete ${tag.tag}`
    );
  };
  const forget = atEnd(() => process.stderr.write(`\nhumq: interrupted. ${fate()}\n`));
  try {
    await sendCalls(session, store, sending, uploader, (page) => {
      if (isOnePage) late.push(page);
      else keepHashes(archive(), page);
    });
    const failed = await notPrepared;
    if (failed !== undefined) throw failed.error;
    const { rootKey, user, tag: name } = tag;
    // All are taken.
    const calls = source.length!;
    const closing = { rootKey, user, tag: name, calls, messages: Math.ceil(calls / chunkSize), chunkSize };
    const u = shortUser(user);
    const closed = store.once(streamOf.tags(u), {
      subject: subjectOf.close(u, name),
      data: signRecord(closingRecord, closing, session.identity.signer),
      ...recordExpiry(sending.lifetime),
    });
    closed.catch(() => undefined);
    // It is on its way then.
    await Promise.resolve();
    for (const page of late) keepHashes(archive(), page);
    await closed;
    return closing;
  } catch (error) {
    if (!(error instanceof HumqError) || error === (await notPrepared)?.error) throw error;
    const message = `${error.message.replace(/\.$/, "")}. ${fate()}`;
    throw error instanceof BrokerError
      ? new BrokerError(message, { cause: error })
      : new InstanceError(message, { cause: error });
  } finally {
    forget();
  }
}
