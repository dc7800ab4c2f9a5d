/** Pulling: what is new since the last pull, opened, into the archive. */
import type { Archive } from "../archive/index.ts";
import { follow, lastSequence } from "../broker/follow.ts";
import { callsOf, parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import { finishCancel, syncRetries } from "../control/sync.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { checkKnown } from "../options.ts";
import { showProgress } from "../progress.ts";
import { mayHaveLost, type Reconciled, reconcile } from "../reconcile/reconcile.ts";
import { watchLost } from "../reconcile/watch.ts";
import { shown } from "../shown.ts";
import type { TagAccess } from "./access.ts";
import { countEnded, countFrom } from "./ended.ts";
import { expiredError, hasExpired, UntilExpired } from "./expiry.ts";
import { countStoredCalls, halfAdvice, halfText } from "./half.ts";
import { fetchHashes } from "./hashes.ts";
import { openAll, openOrRunAgain, type Pulling, type StoredOutcome } from "./open.ts";
import { storedOf } from "./stored.ts";
import { Waiting } from "./waiting.ts";

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

export function checkSubset(subset: Iterable<number>, length: number): Set<number> {
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

/** Messages that are filed at once, by the outcomes in them: a pack holds many. */
function* portions<T extends StoredOutcome>(batch: readonly T[], most: number): Generator<readonly T[]> {
  let from = 0;
  let outcomes = 0;
  for (const [i, { subject }] of batch.entries()) {
    outcomes += parseOutcome(subject).count;
    if (outcomes < most) continue;
    yield batch.slice(from, i + 1);
    from = i + 1;
    outcomes = 0;
  }
  if (from < batch.length) yield batch.slice(from);
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
    for (const part of portions(batch, options.batchSize ?? DEFAULT_BATCH)) {
      for await (const { outcomes, last } of openAll(pulling, part)) {
        archive.putOutcomes(outcomes, last.seq);
        onFiled(openOf(archive, length));
        if (options.signal?.aborted === true) return;
      }
      if (openOf(archive, length) === 0) return;
    }
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
  const { u, manifest, session } = access;
  const stream = streamOf.results(u);
  const from = (await lastSequence(session.nc, stream)) + 1;
  const file = async (found: readonly StoredOutcome[]): Promise<number> => {
    // What other calls ended with is not filed, so the position of a whole pull stays where it is.
    for await (const { outcomes } of openAll(pulling, found)) {
      archive.putOutcomes(
        outcomes.filter(({ index }) => wanted.has(index)),
        archive.readPosition,
      );
    }
    const open = openOf(archive, wanted.size, wanted);
    onFiled(open);
    return open;
  };
  for (const index of [...archive.openIndices(wanted)]) {
    if (options.signal?.aborted === true) return;
    // It may have come with another of its chunk.
    if (archive.outcome(index) !== undefined) continue;
    const found = await storedOf(access, index);
    if (found.length > 0) await file(found);
  }
  if (options.blocking !== true || openOf(archive, wanted.size, wanted) === 0) return;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  for await (const batch of follow(session.nc, stream, subject, from, followOptions(options))) {
    const found = batch.filter((stored) => callsOf([stored.subject]).some((index) => wanted.has(index)));
    if (found.length > 0 && (await file(found)) === 0) return;
  }
}

/** Looks whether calls were lost, by counts; see {@link mayHaveLost}. */
function mayHaveLostAny({ access, archive }: Pulling, calls: number, ofSubset: boolean): Promise<boolean> {
  // Of a part of the calls it is not known how far the others are.
  if (ofSubset) {
    return mayHaveLost(access, async () => {
      const { succeeded, errors } = await countEnded(access);
      return calls - succeeded - errors;
    });
  }
  return mayHaveLost(
    access,
    () => openOf(archive, calls),
    () => countFrom(access, archive.readPosition + 1),
  );
}

/** Calls that are open here and have something stored on the broker: it was not read, or it is no outcome. */
async function readStray(pulling: Pulling, { ended }: Reconciled, wanted?: ReadonlySet<number>): Promise<void> {
  const { access, archive } = pulling;
  const indices = [...archive.openIndices(wanted)].filter((index) => ended.has(index));
  for (const index of indices) {
    // It may have come with another of its chunk.
    if (archive.openIndices([index]).next().done === true) continue;
    const stored = await storedOf(access, index);
    for await (const { outcomes } of openAll(pulling, stored)) archive.putOutcomes(outcomes, archive.readPosition);
    for (const one of stored) {
      if (archive.openIndices([index]).next().done === true) break;
      archive.putOutcomes(await openOrRunAgain(pulling, one, index), archive.readPosition);
    }
  }
}

/** Fetches what is new, and has what the broker lost run again: while it waits, else at its end. */
async function pullAndReconcile(
  pulling: Pulling,
  calls: number,
  wanted: ReadonlySet<number> | undefined,
  options: PullOptions,
  onFiled: (open: number) => void,
): Promise<void> {
  const { access, archive } = pulling;
  const open = () => openOf(archive, wanted?.size ?? calls, wanted);
  const ofSubset = wanted !== undefined;
  const mend = async (): Promise<boolean> => {
    if (open() === 0 || options.signal?.aborted === true) return false;
    if (!(await mayHaveLostAny(pulling, calls, ofSubset))) return false;
    const done = await reconcile(access);
    pulling.control = await syncRetries(access, archive);
    const before = open();
    await readStray(pulling, done, wanted);
    if (open() < before) onFiled(open());
    return done.sentAgain > 0 || done.gone > 0 || done.queueMade || open() < before;
  };
  const watch =
    options.blocking === true
      ? watchLost(mend, () => open() === 0, options.signal)
      : { signal: options.signal, end: mend };
  const { signal: _, ...others } = options;
  const reading = { ...others, ...(watch.signal === undefined ? {} : { signal: watch.signal }) };
  if (wanted === undefined) await pullAll(pulling, calls, reading, onFiled);
  else await pullSubset(pulling, wanted, reading, onFiled);
  await watch.end();
}

const PULL_OPTIONS = ["blocking", "batchSize", "subset", "signal", "quiet"] as const satisfies (keyof PullOptions)[];

export function checkPull(options: PullOptions): void {
  checkKnown("pull option", options, PULL_OPTIONS);
  const { batchSize } = options;
  if (batchSize !== undefined && (!Number.isInteger(batchSize) || batchSize < 1)) {
    throw new UsageError(`pull option batchSize: expected a whole number above 0, got ${shown(batchSize)}`);
  }
}

/** Nothing more comes: that is no trouble where nothing was missing. */
function openOfExpired({ manifest }: TagAccess, archive: Archive, { subset }: PullOptions): number {
  const calls = archive.getMeta("calls") ?? 0;
  if (openOf(archive, calls, subset === undefined ? undefined : checkSubset(subset, calls)) === 0) return 0;
  throw expiredError(manifest);
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
  checkPull(options);
  const { closing, manifest } = access;
  if (hasExpired(manifest)) return openOfExpired(access, archive, options);
  if (closing === undefined) {
    throw new InstanceError(
      `${manifest.tag} is ${halfText(await countStoredCalls(access))}, so none of it runs. What to do: ${halfAdvice(manifest.tag)}`,
    );
  }
  const { calls } = closing;
  const wanted = options.subset === undefined ? undefined : checkSubset(options.subset, calls);
  const { signal, quiet = false } = options;
  await fetchHashes(access, archive, { signal, quiet });
  if (signal?.aborted === true) return openOf(archive, calls, wanted);
  // The broker was restored to an older state: what it stores now has numbers that were given before.
  if ((await lastSequence(access.session.nc, streamOf.results(access.u))) < archive.readPosition) archive.rewind();
  const pulling: Pulling = { access, archive, control: await syncRetries(access, archive) };
  await finishCancel(access, archive, pulling.control);
  const total = wanted?.size ?? calls;
  const open = openOf(archive, calls, wanted);
  if (open === 0 || options.signal?.aborted === true) return open;
  const progress = showProgress("pull", total, quiet);
  progress.update(total - open);
  const waiting = options.blocking === true ? new Waiting(access, progress.note) : undefined;
  const filed = (left: number) => {
    waiting?.hear();
    progress.update(total - left);
    onFiled();
  };
  using until = new UntilExpired(manifest, signal);
  const limited = { ...options, signal: until.signal };
  try {
    await pullAndReconcile(pulling, calls, wanted, limited, filed);
  } finally {
    waiting?.stop();
    progress.stop();
  }
  const left = openOf(archive, calls, wanted);
  if (left > 0) until.check();
  return left;
}
