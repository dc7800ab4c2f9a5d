/**
 * Putting call messages in their places in the queue. A place takes one message, ever, so the one before is removed
 * first; meanwhile the message lies parked beside it. Whoever is cut off in between loses nothing: the next who pulls,
 * retries or asks for the status puts it in its place.
 */
import { setTimeout as delay } from "node:timers/promises";
import { JetStreamApiError } from "@nats-io/jetstream";
import { expiryOf } from "../broker/expiry.ts";
import { Lanes } from "../broker/lanes.ts";
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { isTaken, publish } from "../broker/publish.ts";
import { purgeManager } from "../broker/purge.ts";
import { BrokerError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { decodeOutcomeMessage } from "../trust/outcome.ts";
import { dissolvePacks } from "./packs.ts";
import type { ControlState } from "./state.ts";
import { type CheckedCall, StoredCalls } from "./stored.ts";

const AT_ONCE = 32;
/** Somebody else may be putting messages in the same place. */
const TRIES = 20;
const TRY_AGAIN_MS = 50;

/** What a stored outcome says of its generation; undefined where it is none. */
export function generationOf(outcome: Uint8Array): number | undefined {
  try {
    return decodeOutcomeMessage(outcome).generation;
  } catch {
    return undefined;
  }
}

/** Removes what a call ended with in earlier generations. @returns whether it has ended in this one, or a later one */
async function clearOutcomes(access: TagAccess, index: number, generation: number): Promise<boolean> {
  const { reader, u, manifest, session } = access;
  const manager = await purgeManager(session.nc);
  // A message of a later generation than the first holds one call only.
  if (generation > 0) await dissolvePacks(access, index);
  let ended = false;
  for await (const stored of reader.all(streamOf.results(u), subjectOf.outcome(u, "*", "*", manifest.tag, index))) {
    if ((generationOf(stored.data) ?? -1) >= generation) ended = true;
    else await manager.streams.purge(streamOf.results(u), { filter: stored.subject, seq: stored.seq + 1 });
  }
  return ended;
}

async function place(access: TagAccess, calls: StoredCalls, { first: index, generation, message: data }: CheckedCall) {
  const { session, reader, u, manifest } = access;
  const manager = await purgeManager(session.nc);
  const subject = subjectOf.call(u, manifest.tag, index);
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = await reader.last(streamOf.calls(u), subject);
    if (before !== null && Buffer.compare(before.data, data) === 0) return;
    // This process may have stood still for long: others have retried the call since.
    const now = before === null ? undefined : calls.tryCheck(before.data, index);
    if (now !== undefined && now.generation > generation) return;
    if (await clearOutcomes(access, index, generation)) return;
    if (before !== null) await manager.streams.purge(streamOf.calls(u), { filter: subject, seq: before.seq + 1 });
    try {
      await publish(session.nc, { subject, data, ...expiryOf(manifest) });
      return;
    } catch (error) {
      if (!isTaken(error)) throw error;
      await delay(TRY_AGAIN_MS);
    }
  }
  throw new BrokerError(`call ${index} of ${manifest.tag} is being sent by somebody else all the time`);
}

/** Puts parked messages in their places. Does nothing where there are none. */
export async function placeParked(access: TagAccess, control: ControlState): Promise<void> {
  const { session, reader, u, manifest } = access;
  const parked = subjectOf.nextCall(u, manifest.tag, "*");
  const stream = streamOf.arguments(u);
  if ((await reader.next(stream, parked)) === null) return;
  const manager = await purgeManager(session.nc);
  const calls = new StoredCalls(access);
  const lanes = new Lanes(AT_ONCE);
  let last = 0;
  for await (const { subject, data, seq } of reader.all(stream, parked)) {
    const index = indexOf(subject);
    last = seq;
    const call = calls.tryCheck(data, index);
    // One whose record was never stored is of a retry that did not come about.
    if (call === undefined || call.generation !== control.generationOf(index)) continue;
    await lanes.run(() => place(access, calls, call));
  }
  await lanes.done();
  await manager.streams.purge(stream, { filter: parked, seq: last + 1 });
}

/**
 * Gives a message of the queue out once more, as it is.
 * @param stored the message as it lies in its place; where another has taken that since, nothing happens
 */
export async function sendAgain(access: TagAccess, stored: { first: number; seq: number; message: Uint8Array }) {
  const { session, u, manifest } = access;
  const { nc } = session;
  const { first, seq, message } = stored;
  const manager = await purgeManager(nc);
  const subject = subjectOf.call(u, manifest.tag, first);
  const again = { data: message, ...expiryOf(manifest) };
  const parked = await publish(nc, { subject: subjectOf.nextCall(u, manifest.tag, first), ...again });
  const { purged } = await manager.streams.purge(streamOf.calls(u), { filter: subject, seq: seq + 1 });
  try {
    if (purged > 0) await publish(nc, { subject, ...again });
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
  try {
    // Exactly this one: somebody may have parked another meanwhile.
    await manager.streams.deleteMessage(streamOf.arguments(u), parked, false);
  } catch (error) {
    // Whoever found it parked has put it in its place, and removed it.
    if (!(error instanceof JetStreamApiError)) throw error;
  }
}
