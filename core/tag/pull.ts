/** Pulling: what is new since the last pull, opened, into the archive. */
import type { Archive, Outcome } from "../archive/index.ts";
import { type Followed, follow, lastSequence } from "../broker/follow.ts";
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { sendAgain } from "../control/retry.ts";
import type { ControlState } from "../control/state.ts";
import { StoredCalls } from "../control/stored.ts";
import { finishCancel, syncRetries } from "../control/sync.ts";
import { DecodeError, InstanceError, RefusedError, UsageError } from "../errors.ts";
import { checkKnown, shown } from "../options.ts";
import { showProgress } from "../progress.ts";
import { decodeOutcomeMessage } from "../trust/outcome.ts";
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
  const { closing } = access;
  if (closing === undefined || archive.hashOf(closing.calls - 1) !== undefined) return;
  let run: { first: number; hashes: Uint8Array[] } | undefined;
  const file = () => {
    if (run !== undefined) archive.putHashes(run.first, run.hashes);
    run = undefined;
  };
  for await (const call of new StoredCalls(access).all()) {
    if (run === undefined || run.first + run.hashes.length !== call.first || run.hashes.length > HASH_BATCH) {
      file();
      run = { first: call.first, hashes: [] };
    }
    for (let i = 0; i < call.count; i++) run.hashes.push(call.hash);
  }
  file();
}

/** A tag as it is being pulled. */
interface Pulling {
  access: TagAccess;
  archive: Archive;
  /** As last read; changes where calls are retried meanwhile. */
  control: ControlState;
}

function generationOf(data: Uint8Array): number | undefined {
  try {
    return decodeOutcomeMessage(data).generation;
  } catch {
    return undefined;
  }
}

async function openOne({ access, archive }: Pulling, { subject, data }: Followed): Promise<Outcome | undefined> {
  const hash = archive.hashOf(parseOutcome(subject).index);
  if (hash === undefined) return undefined;
  try {
    return await openOutcome(access, subject, data, hash);
  } catch (error) {
    // A forged or damaged outcome says nothing about the call: it stays open.
    if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
    return undefined;
  }
}

/** Opens stored outcomes; what does not open is not an outcome of ours, and is passed over. */
async function openAll(pulling: Pulling, stored: readonly Followed[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const late = new Map<number, Followed>();
  for (const one of stored) {
    const { index } = parseOutcome(one.subject);
    let outcome = await openOne(pulling, one);
    if (outcome === undefined) {
      const generation = generationOf(one.data) ?? 0;
      if (generation > pulling.control.generationOf(index)) {
        pulling.control = await syncRetries(pulling.access, pulling.archive);
        outcome = await openOne(pulling, one);
      } else if (generation < pulling.control.generationOf(index)) late.set(index, one);
    }
    if (outcome === undefined) continue;
    outcomes.push(outcome);
    late.delete(index);
  }
  // A worker that had vanished and came back has taken the place of the call's own outcome: it runs once more.
  for (const [index, outcome] of late) {
    if (pulling.archive.openIndices([index]).next().done !== true) await sendAgain(pulling.access, outcome, index);
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
  pulling: Pulling,
  length: number,
  options: PullOptions,
  onFiled: (open: number) => void,
): Promise<void> {
  const { access, archive } = pulling;
  const { u, manifest, session } = access;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  const stream = streamOf.results(u);
  for await (const batch of follow(session.nc, stream, subject, archive.readPosition + 1, followOptions(options))) {
    archive.putOutcomes(await openAll(pulling, batch), batch.at(-1)!.seq);
    const open = openOf(archive, length);
    onFiled(open);
    if (open === 0) return;
  }
}

/** Fetches the outcomes of single calls, and of no others; where it blocks, those that are still to come as well. */
async function pullSubset(
  pulling: Pulling,
  wanted: ReadonlySet<number>,
  options: PullOptions,
  onFiled: (open: number) => void,
): Promise<void> {
  const { access, archive } = pulling;
  const { u, manifest, reader, session } = access;
  const stream = streamOf.results(u);
  const from = (await lastSequence(session.nc, stream)) + 1;
  const file = async (found: readonly Followed[]): Promise<number> => {
    // What other calls ended with is not filed, so the position of a whole pull stays where it is.
    archive.putOutcomes(await openAll(pulling, found), archive.readPosition);
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
  const pulling: Pulling = { access, archive, control: await syncRetries(access, archive) };
  await finishCancel(access, archive, pulling.control);
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
    if (wanted === undefined) await pullAll(pulling, calls, options, filed);
    else await pullSubset(pulling, wanted, options, filed);
  } finally {
    progress.stop();
  }
  return openOf(archive, calls, wanted);
}
