/** What happens to a tag's calls, as it happens: first what has happened already, then what comes. */
import type { Archive } from "../archive/index.ts";
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
import { openHead, stateOf } from "../tag/outcome.ts";
import { bindingsOf, openPacked, type PackedOutcome } from "../tag/pack.ts";

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

/** Opens what the worker noted, and fetches no large result; empty where it is no outcome of these calls. */
async function eventsOf(
  access: TagAccess,
  archive: Archive,
  control: ControlState,
  { subject, data }: Followed,
): Promise<TagEvent[]> {
  const { kind, index, count } = parseOutcome(subject);
  if (!(index + count <= (access.closing?.calls ?? 0))) return [];
  try {
    if (kind === "pack") return (await openPacked(access, subject, data, bindingsOf(archive, control))).map(eventOf);
    const opened = await openHead(access, subject, data, archive.hashOf(index), control.generationOf(index));
    const { worker, startedMs, durationMs } = opened.meta;
    const state = stateOf(opened.kind, opened.meta);
    const { datacenter } = opened;
    return [{ type: "outcome", index, state, datacenter, ...(worker && { worker }), startedMs, durationMs }];
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return [];
    throw error;
  }
}

function eventOf({ index, state, datacenter, worker, startedMs = 0, durationMs = 0 }: PackedOutcome): TagEvent {
  return { type: "outcome", index, state, datacenter, ...(worker && { worker }), startedMs, durationMs };
}

/**
 * One event for each call that has ended or ends; finished when all have, or when the signal aborts. What the broker
 * loses meanwhile runs again.
 * @param archive holds the hashes of the tag's calls; they are fetched where it does not
 */
export async function* outcomeEvents(
  access: TagAccess,
  archive: Archive,
  signal?: AbortSignal,
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
  const seen = new Uint8Array(closing.calls);
  let left = closing.calls;
  let position = 0;
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
    for await (const batch of follow(session.nc, stream, subject, 1, {
      forever: true,
      batch: BATCH,
      signal: watch.signal,
    })) {
      for (const stored of batch) {
        for (const event of await eventsOf(access, archive, control, stored)) {
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
