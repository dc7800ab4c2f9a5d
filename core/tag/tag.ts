/** A submitted group of calls and its archive. */
import { Archive, type Bookkeeping } from "../archive/index.ts";
import { type CancelOptions, cancelChosen, checkCancel } from "../control/cancel.ts";
import { changeConcurrency } from "../control/concurrency.ts";
import { checkDelete, type DeleteOptions, deleteOf } from "../control/delete.ts";
import { pauseTag, resumeTag, rouseWorkers } from "../control/pause.ts";
import { chooseRetried, type RetryOptions, retryCalls } from "../control/retry.ts";
import { syncRetries } from "../control/sync.ts";
import { ArchiveError, InstanceError, UsageError } from "../errors.ts";
import { withSession } from "../instance/lease.ts";
import { checkConcurrency, checkKnown } from "../options.ts";
import { withShared } from "../share/access.ts";
import { addDatacenters } from "../share/datacenters.ts";
import { checkOwn, findAnyTag, newSharedArchive, openOwn, sharedOf } from "../share/find.ts";
import { pullShared } from "../share/pull.ts";
import type { Made, SharedWith, ShareOptions } from "../share/share.ts";
import { checkShare, sharesOf, shareTag, unshareTag } from "../share/share.ts";
import { sharedStatus } from "../share/status.ts";
import { shown } from "../shown.ts";
import { decodeError, decodeValue } from "../values/index.ts";
import { outcomeEvents, type TagEvent } from "../watch/events.ts";
import { type Explanation, explainTag } from "../watch/explain.ts";
import { leased } from "../watch/leased.ts";
import { type LogsOptions, logsOf } from "../watch/logs.ts";
import { type RunningCalls, runningCalls } from "../watch/running.ts";
import { checkWait, tallies, type Waited, type WaitOptions, waitFor } from "../watch/wait.ts";
import { listWorkers } from "../watch/workers.ts";
import { openTag } from "./access.ts";
import { Awaited } from "./awaited.ts";
import { TagCall } from "./call.ts";
import { openLiveTag } from "./expiry.ts";
import { freshOf } from "./fresh.ts";
import { countStoredCalls, halfAdvice, halfText } from "./half.ts";
import { listenFor } from "./listen.ts";
import { type LogPiece, type LogText, readLog } from "./log.ts";
import { type PullOptions, pull } from "./pull.ts";
import { type StatusOptions, type TagStatus, tagStatus } from "./status.ts";

/** A call that ended otherwise than succeeded, and what is known of its run. */
export interface CallError extends Bookkeeping {
  index: number;
  /** How it ended: failed, killed, lost, refused, cancelled or skipped. */
  state: string;
  error: Error;
}

/** A call that has ended, and what is known of its run. */
export type CallOutcome<R> = CallError | ({ index: number; state: "succeeded"; value: R } & Bookkeeping);

export interface ToFileOptions {
  /** Go on with the new file: later pulls go there. Default false: the file is a copy. */
  stayLinked?: boolean;
  /** Replace a file that exists. Default false. */
  overwrite?: boolean;
}

/** A call that takes longer is waited for with a pull, which also sees to what gets lost. */
const LISTEN_MS = 2_000;

const TO_FILE_OPTIONS = ["stayLinked", "overwrite"] as const satisfies (keyof ToFileOptions)[];

export class Tag<R = unknown> {
  readonly name: string;
  /** Number of calls. */
  readonly length: number;
  readonly #archive: Archive;
  readonly #instance: string;
  readonly #awaited: Awaited;

  /** For `submit()`, `Tag.fromFile` and `Tag.fromQueue`. */
  constructor(archive: Archive) {
    const [name, length, instance] = [archive.getMeta("tag"), archive.getMeta("calls"), archive.getMeta("instance")];
    if (name === undefined || length === undefined || instance === undefined) {
      throw new ArchiveError("the archive does not say which tag it is of");
    }
    this.#archive = archive;
    this.name = name;
    this.length = length;
    this.#instance = instance;
    const fresh = freshOf(archive);
    this.#awaited = new Awaited(
      (signal, onFiled) => this.#pull({ blocking: true, quiet: true, signal }, onFiled),
      (index) => archive.openIndices([index]).next().done === true,
      // Calls of a chunk need not end with a message each.
      fresh?.options.chunkSize === 1
        ? (index) => withSession(instance, (session) => listenFor(session, archive, fresh, index, LISTEN_MS))
        : undefined,
    );
  }

  /**
   * Opens an archive file; later pulls go on where the last one ended.
   * @throws ArchiveError where the file is missing, no archive, or of a newer version
   */
  static fromFile<R = unknown>(path: string): Tag<R> {
    return new Tag<R>(Archive.open(path));
  }

  /**
   * A tag of yours by its name, any unambiguous beginning of it, or `last`; or one that is shared with you, by its name or
   * as `NAME:TAG`.
   * @throws InstanceError where the broker has none such
   */
  static fromQueue<R = unknown>(name: string, options: { instance?: string } = {}): Promise<Tag<R>> {
    return withSession(options.instance, async (session) => {
      const found = await findAnyTag(session, name);
      if (typeof found !== "string") return new Tag<R>(newSharedArchive(session, found));
      const access = await openLiveTag(session, found);
      if (access.closing === undefined) {
        const { tag } = access.manifest;
        throw new InstanceError(
          `${tag} is ${halfText(await countStoredCalls(access))}, so none of it runs. What to do: ${halfAdvice(tag)}`,
        );
      }
      const archive = Archive.createTemporary();
      archive.setMeta("tag", access.manifest.tag);
      archive.setMeta("instance", session.instance.name);
      archive.setMeta("user", session.identity.user);
      archive.setMeta("task", access.options.taskName);
      archive.setMeta("createdMs", access.manifest.createdMs);
      archive.setMeta("expiresMs", access.manifest.notAfterMs);
      archive.setMeta("calls", access.closing.calls);
      return new Tag<R>(archive);
    });
  }

  /** From then on no call is started and the broker keeps nothing of it; undefined in an archive of an older version. */
  get expires(): Date | undefined {
    const expiresMs = this.#archive.getMeta("expiresMs");
    return expiresMs === undefined ? undefined : new Date(expiresMs);
  }

  /** Number of calls with a result here. */
  get nResults(): number {
    return this.#archive.counts().results;
  }

  /** Number of calls that ended otherwise than succeeded, as known here. */
  get nErrors(): number {
    return this.#archive.counts().errors;
  }

  /** The archive's path: a temporary file until {@link toFile} with `stayLinked`. */
  get path(): string {
    return this.#archive.path;
  }

  /**
   * Fetches what is new since the last pull.
   * @returns how many calls are still open
   */
  pull(options: PullOptions = {}): Promise<number> {
    return this.#pull(options);
  }

  #pull(options: PullOptions, onFiled?: () => void): Promise<number> {
    return withSession(this.#instance, async (session) => {
      const shared = await sharedOf(session, this.#archive);
      if (shared === undefined) return pull(await openTag(session, this.name), this.#archive, options, onFiled);
      return withShared(session, shared, (access) => pullShared(access, this.#archive, options, onFiled));
    });
  }

  /** How far the broker says the tag is; with `measureMs` also how fast it goes on. */
  status(options: StatusOptions = {}): Promise<TagStatus> {
    return withSession(this.#instance, async (session) => {
      const shared = await sharedOf(session, this.#archive);
      if (shared === undefined) return tagStatus(session, this.name, options);
      return withShared(session, shared, (access) => sharedStatus(access, options));
    });
  }

  /** Why it is not running, or what it waits for; with what to do about it. */
  explain(): Promise<Explanation> {
    return withSession(this.#instance, (session) => explainTag(session, this.name));
  }

  /**
   * Outcomes as they are stored: one event for each call, those that ended before included, in the order stored. Ends
   * when all calls have ended, or the signal aborts. Fetches no results; nothing is filed in the archive.
   */
  events(options: { signal?: AbortSignal } = {}): AsyncGenerator<TagEvent> {
    return leased(this.#instance, async (session) =>
      outcomeEvents(await openTag(session, this.name), this.#archive, options.signal),
    );
  }

  /**
   * Waits for the calls to end, without fetching results.
   * @throws the signal's reason where that comes first
   */
  async wait(options: WaitOptions = {}): Promise<Waited> {
    checkWait(options, this.length);
    const ended = leased(this.#instance, async (session) =>
      tallies(await openTag(session, this.name), this.#archive, options.signal),
    );
    return waitFor(ended, options);
  }

  /** What has been pulled, in call order; `null` for a call without a result (yet). */
  async *results(): AsyncGenerator<R | null> {
    let expected = 0;
    for (const { index, value } of this.#archive.values()) {
      for (; expected < index; expected++) yield null;
      yield value as R;
      expected++;
    }
    for (; expected < this.length; expected++) yield null;
  }

  /** The calls that ended otherwise than succeeded, in call order. */
  async *errors(): AsyncGenerator<CallError> {
    for (const call of this.#archive.errors()) yield { ...call, error: decodeError(call.error) };
  }

  /** The calls that have ended, as far as they were pulled, in call order: how, where, when, for how long. */
  async *outcomes(): AsyncGenerator<CallOutcome<R>> {
    for (const call of this.#archive.ended()) {
      if (call.state === "succeeded") yield { ...call, value: call.value as R };
      else yield { ...call, error: decodeError(call.error) };
    }
  }

  /**
   * Which workers have said that they have calls of this tag: of those that run for two seconds, or were given out before.
   * Pulls first, to leave out those that have ended. A worker that vanished is among them until another has its calls;
   * `heardMs` tells.
   */
  async running(): Promise<RunningCalls[]> {
    await this.#pull({ quiet: true });
    return withSession(this.#instance, async (session) => {
      checkOwn(session, this.#archive);
      const [access, workers] = await Promise.all([openTag(session, this.name), listWorkers(session)]);
      return runningCalls(access, (index) => this.#archive.outcome(index) === undefined, workers);
    });
  }

  /**
   * One call's result; pulls what is new until it has ended.
   * @throws what the call threw; UsageError where the tag has no such call
   */
  async result(index: number): Promise<R> {
    this.#checkIndex(index);
    await this.#awaited.until(index);
    const outcome = this.#archive.outcome(index);
    if (outcome?.value !== undefined) return decodeValue(outcome.value) as R;
    if (outcome?.error !== undefined) throw decodeError(outcome.error);
    throw new InstanceError(`call ${index} of ${this.name} has not ended`);
  }

  #checkIndex(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new UsageError(`${this.name} has calls 0 to ${this.length - 1}, got ${shown(index)}`);
    }
  }

  /**
   * One call, to look at or to run again here.
   * @throws UsageError where the tag has no such call
   */
  call(index: number): TagCall<R> {
    this.#checkIndex(index);
    return new TagCall<R>(this, index, this.#instance);
  }

  /** What calls printed, in the order in which it was stored; with `follow` until they have ended. */
  logs(options: LogsOptions = {}): AsyncGenerator<LogPiece> {
    if (options.index !== undefined) this.#checkIndex(options.index);
    return leased(this.#instance, async (session) =>
      logsOf(await openOwn(session, this.#archive), this.#archive, options),
    );
  }

  /** Starts no more calls until {@link resume}; those that run go on to their end. */
  pause(): Promise<void> {
    return withSession(this.#instance, async (session) => pauseTag(await openOwn(session, this.#archive)));
  }

  /** Goes on after {@link pause}. */
  resume(): Promise<void> {
    return withSession(this.#instance, async (session) => resumeTag(await openOwn(session, this.#archive)));
  }

  /**
   * Changes how many calls (chunks, where `chunkSize` is above 1) run at once at most, over all workers; `null` for no
   * limit. What runs already goes on to its end. Until it is changed again, or the tag expires.
   * @throws UsageError where it is no such number; InstanceError where the tag has no queue any more
   */
  setConcurrency(concurrency: number | null): Promise<void> {
    const limit = checkConcurrency("concurrency", concurrency);
    return withSession(this.#instance, async (session) =>
      changeConcurrency(await openOwn(session, this.#archive), limit),
    );
  }

  /**
   * Ends calls that have not ended, running ones too: their state is `cancelled`. Calls that have ended stay as they are.
   * @returns how many were cancelled
   * @throws UsageError where `calls` is no list of calls of this tag, or `state` neither pending nor running
   */
  cancel(options: CancelOptions = {}): Promise<number> {
    const checked = checkCancel(options, this.length);
    return withSession(this.#instance, async (session) => cancelChosen(await openOwn(session, this.#archive), checked));
  }

  /**
   * Runs calls anew that ended otherwise than succeeded; pulls first, to know which those are. They are open again.
   * @returns how many; of the calls named, those that succeeded or have not ended are left alone
   * @throws UsageError where `calls` is no list of calls of this tag, or `state` no state to retry; InstanceError, when
   *   the others were sent, where the broker does not hold some as they were submitted
   */
  async retry(options: RetryOptions = {}): Promise<number> {
    const isWanted = chooseRetried(options, this.length);
    await this.#pull({ quiet: true });
    return withSession(this.#instance, async (session) => {
      const access = await openOwn(session, this.#archive);
      const indices = Array.from(this.#archive.errors().filter(isWanted), ({ index }) => index);
      if (indices.length === 0) return 0;
      const broken = await retryCalls(access, indices);
      const sent = indices.length - broken.length;
      if (sent > 0) {
        await syncRetries(access, this.#archive);
        await rouseWorkers(access);
      }
      if (broken.length === 0) return sent;
      const which = `${broken.slice(0, 10).join(", ")}${broken.length > 10 ? ", ..." : ""}`;
      throw new InstanceError(
        `${this.name}: the broker does not hold calls ${which} as you submitted them, so they cannot run again; ` +
          `submit them anew. Sent anew: ${sent} others.`,
      );
    });
  }

  /**
   * Removes everything of the tag from the broker; the archive stays. With `calls`, `state` or `downloadedOnly` only what
   * some calls ended with: the tag stays, those of the calls that have not ended are cancelled, and who makes an archive
   * afresh finds them `cancelled`.
   * @returns how many outcomes were removed, calls cancelled included
   * @throws HumqError where outcomes were not pulled and `force` is not set
   */
  delete(options: DeleteOptions = {}): Promise<number> {
    checkDelete(options);
    return withSession(this.#instance, async (session) => {
      checkOwn(session, this.#archive);
      return deleteOf(session, this.name, this.#archive, options);
    });
  }

  /**
   * Lets somebody else on the instance read what the calls end with, by the tag's name: now and as they come. Calls, code
   * and console output stay unread. Sharing again with the same person replaces the share.
   * @param name of the person, as the instance's owner granted it
   * @throws InstanceError where nobody is called so; UsageError where the option `expires` is no duration
   */
  share(name: string, options: ShareOptions = {}): Promise<Made> {
    checkShare(options);
    return withSession(this.#instance, async (session) =>
      shareTag(await openOwn(session, this.#archive), name, options),
    );
  }

  /** Whom the tag is shared with. */
  shares(): Promise<SharedWith[]> {
    return withSession(this.#instance, (session) => sharesOf(session, this.name));
  }

  /**
   * Takes a share back. What the person has pulled they keep.
   * @returns whether the tag was shared with them
   */
  unshare(name: string): Promise<boolean> {
    return withSession(this.#instance, (session) => unshareTag(session, this.name, name));
  }

  /**
   * Lets datacenters run the tag that it was not submitted for. They get its key, so this cannot be taken back.
   * @returns the names of those that could not run it before
   * @throws UsageError where one does not serve you
   */
  addDatacenters(names: readonly string[]): Promise<string[]> {
    return withSession(this.#instance, async (session) => addDatacenters(await openOwn(session, this.#archive), names));
  }

  /** What a call printed, as far as the broker has it. */
  log(index: number): Promise<LogText[]> {
    return withSession(this.#instance, async (session) => {
      const pieces: LogText[] = [];
      for await (const piece of readLog(await openOwn(session, this.#archive), index)) pieces.push(piece);
      return pieces;
    });
  }

  /**
   * Writes the archive to a file that lasts.
   * @throws ArchiveError where the file exists and `overwrite` is not set
   */
  toFile(path: string, options: ToFileOptions = {}): void {
    checkKnown("toFile option", options, TO_FILE_OPTIONS);
    const { stayLinked = false, overwrite = false } = options;
    if (stayLinked) this.#archive.moveTo(path, { overwrite });
    else this.#archive.copyTo(path, { overwrite });
  }

  /** Closes the archive; a temporary one is removed. Also done when the process ends. */
  close(): void {
    this.#archive.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
