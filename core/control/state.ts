/** What the signed cancel and retry records of a tag say of its calls. */
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import type { Stored, StreamReader } from "../broker/read.ts";
import { RefusedError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import {
  type CancelRecord,
  type GenerationRange,
  openCancel,
  type RetryRecord,
  retryRecord,
} from "../trust/control.ts";
import { openSigned } from "../trust/signed.ts";
import { type CallRange, isInOrder, overlayAll, rangeAt } from "./calls.ts";

/** Whose records they have to be. */
export interface ControlOwner {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  /** Ed25519 key of the submitter. */
  signingKey: Uint8Array;
  /** The submitter's name, for messages. */
  name: string;
  tagKey: Uint8Array;
}

export class ControlState {
  readonly cancel: CancelRecord | undefined;
  /** In order of their numbers. */
  readonly retries: readonly RetryRecord[];
  /** Where the cancel record lies in its stream; 0 where there is none. */
  readonly cancelSeq: number;
  /** What the records say together; looked up for each call of each message. */
  #generations: readonly GenerationRange[] | undefined;
  #cancelled: readonly (GenerationRange & { reason: string })[] | undefined;

  constructor(cancel?: CancelRecord, retries: readonly RetryRecord[] = [], cancelSeq = 0) {
    this.cancel = cancel;
    this.retries = retries;
    this.cancelSeq = cancelSeq;
  }

  get deleted(): boolean {
    return this.cancel?.deleted === 1;
  }

  /** The generation in which a call runs now. */
  generationOf(index: number): number {
    this.#generations ??= overlayAll(this.retries.map(({ calls }) => calls));
    return rangeAt(this.#generations, index)?.generation ?? 0;
  }

  /** The calls of `range`, each with its generation now. */
  generationsOf(range: CallRange): GenerationRange[] {
    const found: GenerationRange[] = [];
    for (let { first } = range; first <= range.last; ) {
      const generation = this.generationOf(first);
      let last = first;
      if (this.retries.length === 0) last = range.last;
      else while (last < range.last && this.generationOf(last + 1) === generation) last++;
      found.push({ first, last, generation });
      first = last + 1;
    }
    return found;
  }

  /** Why a call was cancelled in this generation (the reason may be empty); undefined where it was not. */
  cancelled(index: number, generation: number): string | undefined {
    // The entry that came last, which stands first, is of the latest generation.
    this.#cancelled ??= overlayAll(
      (this.cancel?.entries ?? []).map(({ calls, reason }) => calls.map((range) => ({ ...range, reason }))).reverse(),
    );
    const found = rangeAt(this.#cancelled, index);
    return found !== undefined && found.generation >= generation ? found.reason : undefined;
  }

  /**
   * Whether `earlier` says something that this does not say any more. Nothing that was cancelled or retried is ever taken
   * back but by deleting the tag, so this then is older, or a part was held back.
   */
  forgets(earlier: ControlState): boolean {
    if (this.deleted) return false;
    if (earlier.deleted || (this.retries.at(-1)?.number ?? 0) < (earlier.retries.at(-1)?.number ?? 0)) return true;
    const entries = this.cancel?.entries ?? [];
    const keyOf = ({ first, last, generation }: GenerationRange) => `${first}-${last}-${generation}`;
    const kept = new Set(entries.flatMap(({ calls }) => calls.map(keyOf)));
    const covers = (range: GenerationRange) =>
      kept.has(keyOf(range)) ||
      entries.some(({ calls }) => {
        const { first, last, generation } = range;
        const found = rangeAt(calls, first);
        return found !== undefined && found.last >= last && found.generation >= generation;
      });
    return earlier.cancel?.entries.some(({ calls }) => !calls.every(covers)) === true;
  }
}

function check(record: CancelRecord | RetryRecord, owner: Omit<ControlOwner, "tagKey">): void {
  const same = Buffer.compare(record.rootKey, owner.rootKey) === 0 && record.user === owner.user;
  if (!same || record.tag !== owner.tag) {
    throw new RefusedError(`what the broker holds as cancel or retry of ${owner.tag} is a record of something else`);
  }
}

/** A worker holds the records of each tag that it has in hand, whoever signed them. */
const MOST_RETRIES = 10_000;
const MOST_RETRIED_RANGES = 1_000_000;

/** The retry records of a tag as they are read. */
export class RetryRecords {
  readonly all: RetryRecord[] = [];
  readonly #tag: string;
  #ranges = 0;

  constructor({ tag }: { tag: string }) {
    this.#tag = tag;
  }

  /** @throws RefusedError where they are more than anybody looks through */
  add(retry: RetryRecord): void {
    this.all.push(retry);
    this.#ranges += retry.calls.length;
    if (this.all.length <= MOST_RETRIES && this.#ranges <= MOST_RETRIED_RANGES) return;
    throw new RefusedError(
      `calls of ${this.#tag} were retried more often than is looked through (${MOST_RETRIES} times, ` +
        `${MOST_RETRIED_RANGES} separate ranges)`,
    );
  }
}

function checkRanges(lists: readonly (readonly CallRange[])[], { tag }: Pick<ControlOwner, "tag">): void {
  if (!lists.every(isInOrder))
    throw new RefusedError(`a cancel or retry record of ${tag} names its calls out of order`);
}

/** @param number under which it lies */
export function openRetry(data: Uint8Array, owner: Omit<ControlOwner, "tagKey">, number: number): RetryRecord {
  const retry = openSigned(retryRecord, data, owner.signingKey, owner.name);
  check(retry, owner);
  if (retry.number !== number)
    throw new RefusedError(`retry ${retry.number} of ${owner.tag} lies under another number`);
  checkRanges([retry.calls], owner);
  return retry;
}

/** What was said of a tag as it is read, when its key is not known yet. */
export interface ReadControl {
  /** As it is stored; its reasons are sealed under the tag's key. */
  cancel: Stored | null;
  retries: RetryRecords;
}

/**
 * Reads the records of a tag, and checks those of retries.
 * @param u short user
 * @throws RefusedError | DecodeError where they are not what the submitter signed
 */
export async function readRecords(
  reader: StreamReader,
  u: string,
  owner: Omit<ControlOwner, "tagKey">,
): Promise<ReadControl> {
  const stream = streamOf.tags(u);
  const readRetries = async () => {
    const retries = new RetryRecords(owner);
    for await (const { subject, data } of reader.all(stream, subjectOf.retry(u, owner.tag, "*"))) {
      retries.add(openRetry(data, owner, indexOf(subject)));
    }
    return retries;
  };
  const [cancel, retries] = await Promise.all([reader.next(stream, subjectOf.cancel(u, owner.tag)), readRetries()]);
  return { cancel, retries };
}

/**
 * Reads and checks the records of a tag.
 * @param u short user
 * @throws RefusedError | DecodeError where they are not what the submitter signed
 */
export async function readControl(reader: StreamReader, u: string, owner: ControlOwner): Promise<ControlState> {
  return openControl(await readRecords(reader, u, owner), owner);
}

/** @throws RefusedError | DecodeError where the records are not what the submitter signed */
export function openControl({ cancel: stored, retries: found }: ReadControl, owner: ControlOwner): ControlState {
  let cancel: CancelRecord | undefined;
  if (stored !== null) {
    cancel = openCancel(stored.data, owner.tagKey, owner.signingKey, owner.name);
    check(cancel, owner);
    checkRanges(
      cancel.entries.map(({ calls }) => calls),
      owner,
    );
  }
  const retries = found.all.sort((a, b) => a.number - b.number);
  const missing = retries.findIndex(({ number }, i) => number !== i + 1);
  if (missing >= 0) throw new RefusedError(`retry ${missing + 1} of ${owner.tag} is missing, and later ones are there`);
  return new ControlState(cancel, retries, stored?.seq);
}

/** The records of the tag of one's own, as they are now. */
export function readOwnControl(access: TagAccess): Promise<ControlState> {
  const { reader, u, manifest, session, tagKey } = access;
  const { rootKey, user, tag } = manifest;
  const { publicKey: signingKey } = session.identity.signer;
  return readControl(reader, u, { rootKey, user, tag, signingKey, name: "you", tagKey });
}
