/** Pulling: what is new since the last pull, opened, into the archive. */
import type { Archive, Outcome } from "../archive/index.ts";
import { type Followed, follow } from "../broker/follow.ts";
import { indexOf, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, InstanceError, RefusedError, UsageError } from "../errors.ts";
import { type Progress, showProgress } from "../progress.ts";
import { CallVerifier } from "../trust/call.ts";
import type { TagAccess } from "./access.ts";
import { openOutcome } from "./outcome.ts";

export interface PullOptions {
  /** Wait until every call has ended. Default false. */
  blocking?: boolean;
  /** Outcomes that are filed at once. Default 1000. */
  batchSize?: number;
  /** Only these calls, by index. Default all. */
  subset?: Iterable<number>;
  /** Ends the pull early; what was filed stays. */
  signal?: AbortSignal;
  /** No progress bar. Default false. */
  quiet?: boolean;
}

const DEFAULT_BATCH = 1000;
/** Hashes kept in memory before they are filed. */
const HASH_BATCH = 10_000;

/** A tag that was submitted elsewhere: fetches its calls once, checks them, and keeps the hash of each. */
export async function fetchHashes(access: TagAccess, archive: Archive): Promise<void> {
  const { manifest, closing, reader, u, session } = access;
  if (closing === undefined || archive.hashOf(closing.calls - 1) !== undefined) return;
  const verifier = new CallVerifier(manifest, session.identity.signer.publicKey);
  let run: { first: number; hashes: Uint8Array[] } | undefined;
  const file = () => {
    if (run !== undefined) archive.putHashes(run.first, run.hashes);
    run = undefined;
  };
  for await (const stored of reader.all(streamOf.calls(u), subjectOf.call(u, manifest.tag, "*"))) {
    const call = verifier.open(stored.data, indexOf(stored.subject));
    if (run === undefined || run.first + run.hashes.length !== call.first || run.hashes.length > HASH_BATCH) {
      file();
      run = { first: call.first, hashes: [] };
    }
    for (let i = 0; i < call.count; i++) run.hashes.push(call.hash);
  }
  file();
}

/** Opens stored outcomes; what does not open is not an outcome of ours, and is passed over. */
async function openAll(access: TagAccess, archive: Archive, stored: readonly Followed[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { subject, data } of stored) {
    const { index } = parseOutcome(subject);
    const hash = archive.hashOf(index);
    if (hash === undefined) continue;
    try {
      outcomes.push(await openOutcome(access, subject, data, hash));
    } catch (error) {
      // A forged or damaged outcome says nothing about the call: it stays open.
      if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    }
  }
  return outcomes;
}

function checkSubset(subset: Iterable<number>, length: number): Set<number> {
  const wanted = new Set(subset);
  for (const index of wanted) {
    if (!Number.isInteger(index) || index < 0 || index >= length) {
      throw new UsageError(`pull option subset: the tag has calls 0 to ${length - 1}, got ${index}`);
    }
  }
  return wanted;
}

/** Fetches the outcomes of single calls. */
async function pullSubset(access: TagAccess, archive: Archive, wanted: ReadonlySet<number>): Promise<void> {
  const { u, manifest, reader } = access;
  for (const index of wanted) {
    if (archive.outcome(index) !== undefined) continue;
    const subject = subjectOf.outcome(u, "*", "*", manifest.tag, index);
    const stored = await reader.next(streamOf.results(u), subject);
    if (stored === null) continue;
    archive.putOutcomes(await openAll(access, archive, [{ ...stored, pending: 0 }]), archive.readPosition);
  }
}

function openOf(archive: Archive, length: number, wanted: ReadonlySet<number> | undefined): number {
  const counts = archive.counts();
  if (wanted === undefined) return length - counts.results - counts.errors;
  let open = 0;
  for (const index of wanted) if (archive.outcome(index) === undefined) open++;
  return open;
}

async function pullAll(
  access: TagAccess,
  archive: Archive,
  length: number,
  wanted: ReadonlySet<number> | undefined,
  options: PullOptions,
  progress: Progress,
): Promise<void> {
  const { u, manifest, session } = access;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  const batches = follow(session.nc, streamOf.results(u), subject, archive.readPosition + 1, {
    forever: options.blocking === true,
    batch: options.batchSize ?? DEFAULT_BATCH,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  for await (const batch of batches) {
    archive.putOutcomes(await openAll(access, archive, batch), batch.at(-1)!.seq);
    const open = openOf(archive, length, undefined);
    progress.update(length - open);
    if ((wanted === undefined ? open : openOf(archive, length, wanted)) === 0) return;
  }
}

function checkOptions(options: PullOptions): void {
  const { batchSize } = options;
  if (batchSize !== undefined && (!Number.isInteger(batchSize) || batchSize < 1)) {
    throw new UsageError(`pull option batchSize: expected a whole number above 0, got ${String(batchSize)}`);
  }
}

/** @returns how many calls (of the subset, where one is given) are still open */
export async function pull(access: TagAccess, archive: Archive, options: PullOptions): Promise<number> {
  checkOptions(options);
  const { closing, manifest } = access;
  if (closing === undefined) {
    throw new InstanceError(
      `${manifest.tag} was not submitted to its end: it has no closing record, so its calls do not run`,
    );
  }
  const length = closing.calls;
  const wanted = options.subset === undefined ? undefined : checkSubset(options.subset, length);
  await fetchHashes(access, archive);
  if (wanted !== undefined && options.blocking !== true) {
    await pullSubset(access, archive, wanted);
    return openOf(archive, length, wanted);
  }
  if (openOf(archive, length, wanted) === 0) return 0;
  const progress = showProgress("pull", length, options.quiet === true);
  try {
    await pullAll(access, archive, length, wanted, options, progress);
  } finally {
    progress.stop();
  }
  return openOf(archive, length, wanted);
}
