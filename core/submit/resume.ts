/** Finishing a tag whose submit was cut off: what is stored is checked against what is recorded now, the rest is sent. */
import type { Archive } from "../archive/index.ts";
import { expiryOf } from "../broker/expiry.ts";
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { createQueue } from "../broker/queue.ts";
import { readOwnControl } from "../control/state.ts";
import { type CheckedCall, StoredCalls } from "../control/stored.ts";
import { formatDuration } from "../duration.ts";
import { InstanceError, UsageError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { formatMemory } from "../memory.ts";
import type { CheckedOptions } from "../options.ts";
import { showProgress } from "../progress.ts";
import { queueInfo } from "../reconcile/queue.ts";
import type { TagAccess } from "../tag/access.ts";
import { openLiveTag } from "../tag/expiry.ts";
import { isHalfSubmitted, listTags } from "../tag/list.ts";
import { openArguments } from "../tag/rerun.ts";
import { type SealedCode, sealCode } from "../trust/code.ts";
import type { TagOptions } from "../trust/options.ts";
import { Claim } from "./claim.ts";
import { storeCode } from "./code.ts";
import { sendAndClose } from "./send.ts";
import { type CallSource, type RecordedCalls, RecordedSource } from "./source.ts";
import { Spool } from "./spool.ts";
import { SafeStore } from "./store.ts";
import { type CapturedTask, newArchive, tagOptionsOf } from "./submit.ts";
import { warning } from "./warning.ts";

/** The tag that `name` means: among those that are half-submitted, else among all. */
async function findResumed(session: Session, name: string): Promise<string> {
  const tags = await listTags(session);
  if (tags.some(({ tag }) => tag === name)) return name;
  const half = tags.filter(isHalfSubmitted).map(({ tag }) => tag);
  const here = `on "${session.instance.name}"`;
  const listed = half.length === 0 ? "" : ` Half-submitted are: ${half.join(", ")}.`;
  if (name === "last") {
    const last = half.at(-1);
    if (last !== undefined) return last;
    throw new InstanceError(`nothing to resume: no tag of yours ${here} is half-submitted`);
  }
  const matching = half.filter((tag) => tag.startsWith(name));
  if (matching.length === 1) return matching[0]!;
  if (matching.length > 1) {
    throw new UsageError(
      `${JSON.stringify(name)} is the beginning of ${matching.length} half-submitted tags: ${matching.join(", ")}. Give more of the name.`,
    );
  }
  const closed = tags.filter(({ tag }) => tag.startsWith(name)).map(({ tag }) => tag);
  if (closed.length === 1) return closed[0]!;
  if (closed.length > 1) {
    throw new InstanceError(
      `nothing to resume: the ${closed.length} tags that begin with ${JSON.stringify(name)} were submitted to their end.${listed}`,
    );
  }
  throw new InstanceError(`no tag of yours ${here} begins with ${JSON.stringify(name)}.${listed}`);
}

/** An option as the user knows it, and its value. */
function shownOption(name: string, value: TagOptions[keyof TagOptions]): { option: string; text: string } {
  const option = name.replace(/(Ms|Bytes)$/, "");
  if (name.endsWith("Ms")) return { option, text: value === 0 ? "none" : formatDuration(Number(value)) };
  if (name.endsWith("Bytes")) return { option, text: value === 0 ? "none" : formatMemory(Number(value)) };
  if (name === "concurrency" && value === 0) return { option, text: "none" };
  return { option, text: JSON.stringify(value) };
}

/** In what the submit differs from the one before. */
function differences(access: TagAccess, code: SealedCode, task: CapturedTask, options: CheckedOptions): string[] {
  const { manifest } = access;
  const before = access.options;
  const now = tagOptionsOf(options, task.name, code.key);
  const found: string[] = [];
  for (const name of Object.keys(before) as (keyof TagOptions)[]) {
    if (name === "codeKey" || JSON.stringify(before[name]) === JSON.stringify(now[name])) continue;
    const was = shownOption(name, before[name]);
    found.push(`${was.option} was ${was.text} and is ${shownOption(name, now[name]).text}`);
  }
  const retentionMs = manifest.notAfterMs - manifest.createdMs;
  if (options.retentionMs !== retentionMs)
    found.push(`retention was ${formatDuration(retentionMs)} and is ${formatDuration(options.retentionMs)}`);
  const { datacenters, givenLabel } = options;
  const sorted = (names: readonly string[]) => JSON.stringify([...names].sort());
  if (datacenters !== undefined && sorted(datacenters) !== sorted(manifest.datacenters))
    found.push(`datacenters were ${manifest.datacenters.join(", ")} and are ${datacenters.join(", ")}`);
  if (givenLabel !== undefined && !manifest.tag.startsWith(`${givenLabel}_`)) found.push(`tag is ${givenLabel}`);
  // Options are a cause of other code, so they are named first.
  if (found.length === 0 && manifest.code.name !== code.reference.name)
    found.push("the function's code, or a value that it uses, is another one");
  return found;
}

function refuse(tag: string, difference: string, isClosed: boolean): UsageError {
  const advice = isClosed
    ? "That tag was submitted to its end; to submit something else leave resume out."
    : `Nothing was changed. Resume with what was submitted then, or delete the tag (humq delete ${tag}) and submit anew.`;
  return new UsageError(`this is not what ${tag} was submitted with: ${difference}. ${advice}`);
}

/** The messages of a tag. @throws RefusedError | DecodeError where one of a half-submitted tag is not what you signed */
async function* storedCalls(access: TagAccess): AsyncGenerator<CheckedCall> {
  const { reader, u, manifest, closing } = access;
  const calls = new StoredCalls(access);
  if (closing !== undefined) {
    yield* calls.all();
    return;
  }
  for await (const { subject, data } of reader.all(streamOf.calls(u), subjectOf.call(u, manifest.tag, "*")))
    yield calls.check(data, indexOf(subject));
}

/**
 * Checks each stored message against the recorded calls, and keeps its hash.
 * @returns for each message 1 where it is stored
 * @throws UsageError where a stored call is none of the recorded; RefusedError where one is not what you signed
 */
async function checkStored(
  access: TagAccess,
  calls: RecordedCalls,
  archive: Archive,
  quiet: boolean,
): Promise<Uint8Array> {
  const { manifest, options, closing } = access;
  const { chunkSize } = options;
  const isClosed = closing !== undefined;
  const stored = new Uint8Array(Math.ceil(calls.length / chunkSize));
  const progress = showProgress("check", calls.length, quiet);
  let checked = 0;
  try {
    for await (const call of storedCalls(access)) {
      const { first, count, hash } = call;
      // Calls that were retried since lie by themselves.
      const expected = isClosed ? count : Math.min(chunkSize, calls.length - first);
      if (first + count > calls.length || count !== expected || (!isClosed && first % chunkSize !== 0))
        throw refuse(
          manifest.tag,
          `it holds call ${first + count - 1}, and there ${calls.length === 1 ? "is 1 call" : `are ${calls.length} calls`} now`,
          isClosed,
        );
      const before = await openArguments(access, call);
      const other = calls.slice(first, first + count).findIndex((list, i) => Buffer.compare(list, before[i]!) !== 0);
      if (other >= 0) throw refuse(manifest.tag, `call ${first + other} has other arguments`, isClosed);
      archive.putHashes(first, new Array<Uint8Array>(count).fill(hash));
      stored[Math.floor(first / chunkSize)] = 1;
      checked += count;
      progress.update(Math.min(checked, calls.length));
    }
  } finally {
    progress.stop();
  }
  return stored;
}

/**
 * Finishes a half-submitted tag with the calls that were recorded for it, recorded again. One that was submitted to its end
 * is taken as it is, where it is of the same calls.
 * @param name the tag's name, an unambiguous beginning of it, or `last`
 * @returns the tag's archive, in a temporary file
 * @throws UsageError where calls, code or options are not those of the tag: nothing is changed then; InstanceError where
 *   there is nothing to resume; CallsFailed where the source fails
 */
export async function resumeTag(
  session: Session,
  name: string,
  task: CapturedTask,
  source: CallSource,
  given: CheckedOptions,
): Promise<Archive> {
  const { nc, identity, link } = session;
  const { quiet, retentionMs } = given;
  const store = await SafeStore.open(nc, quiet ? undefined : warning);
  const access = await openLiveTag(session, await findResumed(session, name));
  const { manifest, closing, u, tagKey } = access;
  const { tag } = manifest;
  if ((await readOwnControl(access)).deleted)
    throw new InstanceError(`${tag} was being deleted, so it cannot be resumed. Finish that: humq delete ${tag}`);
  const owner = { rootKey: link.rootKey, user: identity.user };
  const code = sealCode(identity.codeSecret, owner, task.code);
  // What was found out for it stands.
  const options = given.chunkAuto ? { ...given, chunkSize: access.options.chunkSize } : given;
  const found = differences(access, code, task, options);
  if (found.length > 0) throw refuse(tag, found.join("; "), closing !== undefined);
  // What is stored is compared with all calls before anything is sent.
  using spool = source instanceof RecordedSource ? undefined : await Spool.of(source);
  const calls = spool ?? (source as RecordedSource).calls;
  if (closing !== undefined && closing.calls !== calls.length)
    throw refuse(tag, `it has ${closing.calls} calls and ${calls.length} are recorded`, true);
  const archive = newArchive(session, manifest, task.name);
  archive.setMeta("calls", calls.length);
  try {
    const claim = closing === undefined ? await Claim.take(store, u, manifest) : undefined;
    const stored = await checkStored(access, calls, archive, quiet);
    if (claim === undefined) {
      if (!quiet) warning(`${tag} was submitted to its end before; nothing was sent`);
      return archive;
    }
    await storeCode(store, identity.user, code, manifest.notAfterMs);
    // As it is where it is there: it may have been paused, or given another limit.
    if ((await store.persist(() => queueInfo(access))) === undefined)
      await store.persist(() => createQueue(nc, u, tag, options.concurrency, { retentionMs }));
    const context = { ...owner, tag, tagKey, u, ...expiryOf(manifest) };
    await sendAndClose(session, store, {
      tag: context,
      lifetime: manifest,
      source: new RecordedSource(calls),
      chunkSize: options.chunkSize,
      quiet,
      archive: () => archive,
      claim,
      stored,
    });
    return archive;
  } catch (error) {
    archive.close();
    throw error;
  }
}
