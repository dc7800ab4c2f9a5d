/** Pulling: what is new since the last pull, opened, into the archive. */
import type { Archive, Outcome } from "../archive/index.ts";
import { type Followed, follow, lastSequence } from "../broker/follow.ts";
import { indexOf, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, InstanceError, RefusedError, UsageError } from "../errors.ts";
import { checkKnown, shown } from "../options.ts";
import { showProgress } from "../progress.ts";
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
  /** Ends the pull early; what was filed stays, and the number of open calls is returned as ever. */
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
      throw new UsageError(`pull option subset: the tag has calls 0 to ${length - 1}, got ${shown(index)}`);
    }
  }
  return wanted;
}

function openOf(archive: Archive, length: number, wanted?: ReadonlySet<number>): number {
  if (wanted !== undefined) return [...archive.openIndices(wanted)].length;
  const counts = archive.counts();
  return length - counts.results - counts.errors;
}

function followOptions(options: PullOptions) {
  const { blocking = false, batchSize = DEFAULT_BATCH, signal } = options;
  return { forever: blocking, batch: batchSize, ...(signal === undefined ? {} : { signal }) };
}

/** Fetches what is new of all calls. */
async function pullAll(
  access: TagAccess,
  archive: Archive,
  length: number,
  options: PullOptions,
  onFiled: (open: number) => void,
): Promise<void> {
  const { u, manifest, session } = access;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  const stream = streamOf.results(u);
  for await (const batch of follow(session.nc, stream, subject, archive.readPosition + 1, followOptions(options))) {
    archive.putOutcomes(await openAll(access, archive, batch), batch.at(-1)!.seq);
    const open = openOf(archive, length);
    onFiled(open);
    if (open === 0) return;
  }
}

/** Fetches the outcomes of single calls, and of no others; where it blocks, those that are still to come as well. */
async function pullSubset(
  access: TagAccess,
  archive: Archive,
  wanted: ReadonlySet<number>,
  options: PullOptions,
  onFiled: (open: number) => void,
): Promise<void> {
  const { u, manifest, reader, session } = access;
  const stream = streamOf.results(u);
  const from = (await lastSequence(session.nc, stream)) + 1;
  const file = async (found: readonly Followed[]): Promise<number> => {
    // What other calls ended with is not filed, so the position of a whole pull stays where it is.
    archive.putOutcomes(await openAll(access, archive, found), archive.readPosition);
    const open = openOf(archive, wanted.size, wanted);
    onFiled(open);
    return open;
  };
  for (const index of [...archive.openIndices(wanted)]) {
    if (options.signal?.aborted === true) return;
    for await (const stored of reader.all(stream, subjectOf.outcome(u, "*", "*", manifest.tag, index))) {
      await file([{ ...stored, pending: 0 }]);
    }
  }
  if (options.blocking !== true || openOf(archive, wanted.size, wanted) === 0) return;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  for await (const batch of follow(session.nc, stream, subject, from, followOptions(options))) {
    const found = batch.filter((stored) => wanted.has(parseOutcome(stored.subject).index));
    if (found.length > 0 && (await file(found)) === 0) return;
  }
}

const PULL_OPTIONS = ["blocking", "batchSize", "subset", "signal", "quiet"] as const satisfies (keyof PullOptions)[];

function checkOptions(options: PullOptions): void {
  checkKnown("pull option", options, PULL_OPTIONS);
  const { batchSize } = options;
  if (batchSize !== undefined && (!Number.isInteger(batchSize) || batchSize < 1)) {
    throw new UsageError(`pull option batchSize: expected a whole number above 0, got ${shown(batchSize)}`);
  }
}

/**
 * @param onFiled hears each time outcomes were filed
 * @returns how many calls (of the subset, where one is given) are still open
 */
export async function pull(
  access: TagAccess,
  archive: Archive,
  options: PullOptions,
  onFiled: () => void = () => undefined,
): Promise<number> {
  checkOptions(options);
  const { closing, manifest } = access;
  if (closing === undefined) {
    throw new InstanceError(
      `${manifest.tag} was not submitted to its end: it has no closing record, so its calls do not run`,
    );
  }
  const { calls } = closing;
  const wanted = options.subset === undefined ? undefined : checkSubset(options.subset, calls);
  await fetchHashes(access, archive);
  const total = wanted?.size ?? calls;
  const open = openOf(archive, calls, wanted);
  if (open === 0 || options.signal?.aborted === true) return open;
  const progress = showProgress("pull", total, options.quiet === true);
  progress.update(total - open);
  const filed = (left: number) => {
    progress.update(total - left);
    onFiled();
  };
  try {
    if (wanted === undefined) await pullAll(access, archive, calls, options, filed);
    else await pullSubset(access, archive, wanted, options, filed);
  } finally {
    progress.stop();
  }
  return openOf(archive, calls, wanted);
}
