/** What happens to a tag's calls, as it happens: first what has happened already, then what comes. */
import type { Archive, Bookkeeping, Outcome } from "../archive/index.ts";
import { type Followed, follow } from "../broker/follow.ts";
import { parseOutcome, streamOf, subjectOf } from "../broker/names.ts";
import type { ControlState } from "../control/state.ts";
import { syncRetries } from "../control/sync.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import { mayHaveLost, reconcile } from "../reconcile/reconcile.ts";
import { watchLost } from "../reconcile/watch.ts";
import type { TagAccess } from "../tag/access.ts";
import { countFrom } from "../tag/ended.ts";
import { UntilExpired } from "../tag/expiry.ts";
import { fetchHashes } from "../tag/hashes.ts";
import { openAtOnce, openHead, stateOf } from "../tag/outcome.ts";
import { bindingsOf, openPacked } from "../tag/pack.ts";

/** A call has ended. When one began is not known outside of its worker. */
export interface TagEvent {
  type: "outcome";
  index: number;
  /** `succeeded`, or how else it ended: failed, killed, lost, refused, ... */
  state: string;
  datacenter: string;
  worker?: string;
  /** When it began, by the worker's clock, in milliseconds since 1970. */
  startedMs: number;
  durationMs: number;
}

/** Outcomes looked at in one go. */
const BATCH = 1000;

/** A batch of messages, and what the outcomes in it must be bound to. */
class Batch {
  readonly #access: TagAccess;
  readonly #archive: Archive;
  readonly #messages: readonly Followed[];
  readonly #names: readonly ReturnType<typeof parseOutcome>[];
  #control: ControlState;
  #hashes: (Uint8Array | undefined)[];

  constructor(access: TagAccess, archive: Archive, control: ControlState, messages: readonly Followed[]) {
    this.#access = access;
    this.#archive = archive;
    this.#control = control;
    this.#messages = messages;
    this.#names = messages.map(({ subject }) => parseOutcome(subject));
    this.#hashes = this.#readHashes();
  }

  #readHashes() {
    return this.#archive.hashesOf(this.#names.map(({ index }) => index));
  }

  /**
   * Opens what the worker noted in message `i`, and fetches no large result; empty where it is no outcome of these calls.
   * @param control as it is now
   */
  async events(i: number, control: ControlState): Promise<TagEvent[]> {
    // Calls that run anew meanwhile have other hashes.
    if (control !== this.#control) this.#hashes = this.#readHashes();
    this.#control = control;
    const { subject, data } = this.#messages[i]!;
    const { kind, index, count } = this.#names[i]!;
    const access = this.#access;
    if (!(index + count <= (access.closing?.calls ?? 0))) return [];
    try {
      if (kind === "pack")
        return (await openPacked(access, subject, data, bindingsOf(this.#archive, control))).map(eventOf);
      const generation = control.generationOf(index);
      const outcome = openAtOnce(access, subject, data, this.#hashes[i], generation);
      if (outcome !== undefined) return [eventOf(outcome)];
      const { meta, kind: opened, datacenter } = await openHead(access, subject, data, this.#hashes[i], generation);
      return [eventOf({ ...meta, index, state: stateOf(opened, meta), datacenter })];
    } catch (error) {
      if (error instanceof RefusedError || error instanceof DecodeError) return [];
      throw error;
    }
  }
}

function eventOf(outcome: Pick<Outcome, "index" | "state"> & Bookkeeping): TagEvent {
  const { index, state, datacenter = "", worker, startedMs = 0, durationMs = 0 } = outcome;
  return { type: "outcome", index, state, datacenter, ...(worker && { worker }), startedMs, durationMs };
}

/** From where on outcomes are looked at. */
export interface Start {
  /** The stream sequence up to which they are known. */
  position: number;
  /** By call, 1 where it is known to have ended. */
  seen: Uint8Array;
  /** Calls that are not. */
  left: number;
}

/**
 * One event for each call that has ended or ends; finished when all have, or when the signal aborts. What the broker
 * loses meanwhile runs again.
 * @param archive holds the hashes of the tag's calls; they are fetched where it does not
 * @param start without those that are known there. Default: all
 */
export async function* outcomeEvents(
  access: TagAccess,
  archive: Archive,
  signal?: AbortSignal,
  start?: Start,
): AsyncGenerator<TagEvent> {
  const { closing, manifest, u, session } = access;
  using until = new UntilExpired(manifest, signal);
  until.check();
  if (closing === undefined) {
    throw new InstanceError(`${manifest.tag} was not submitted to its end: its calls do not run, so nothing happens`);
  }
  await fetchHashes(access, archive);
  let control = await syncRetries(access, archive);
  // A bit would do; a byte a call is simple and small enough.
  const seen = start?.seen ?? new Uint8Array(closing.calls);
  let left = start?.left ?? closing.calls;
  let position = start?.position ?? 0;
  if (left === 0) return;
  const subject = subjectOf.outcome(u, "*", "*", manifest.tag, "*");
  const stream = streamOf.results(u);
  const unread = () => countFrom(access, position + 1);
  const mend = async () => {
    if (!(await mayHaveLost(access, () => left, unread))) return false;
    const { sentAgain, gone, queueMade } = await reconcile(access);
    control = await syncRetries(access, archive);
    return sentAgain > 0 || gone > 0 || queueMade;
  };
  const watch = watchLost(mend, () => left === 0, until.signal);
  try {
    for await (const batch of follow(session.nc, stream, subject, position + 1, {
      forever: true,
      batch: BATCH,
      signal: watch.signal,
    })) {
      const opening = new Batch(access, archive, control, batch);
      for (let i = 0; i < batch.length; i++) {
        for (const event of await opening.events(i, control)) {
          // Two datacenters may both have stored one; the first that opens is the call's.
          if (seen[event.index] === 1) continue;
          seen[event.index] = 1;
          left--;
          yield event;
        }
      }
      position = batch.at(-1)!.seq;
      if (left === 0 || watch.signal.aborted) break;
    }
  } finally {
    await watch.end();
  }
  if (left > 0) until.check();
}
