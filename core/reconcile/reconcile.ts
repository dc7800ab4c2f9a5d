/**
 * Reconciliation: calls that are neither in the queue nor have an outcome run again, in the generation they are in. The
 * broker can lose an outcome or a call's place in the queue (a power cut, a restore from a backup, a deleted consumer),
 * and whoever may read from a queue can acknowledge what they did not run.
 */
import type { ConsumerInfo } from "@nats-io/jetstream";
import { Lanes } from "../broker/lanes.ts";
import { rangesOf } from "../control/calls.ts";
import { endedCalls, settleCancelled } from "../control/cancel.ts";
import { rouseWorkers } from "../control/pause.ts";
import { placeParked, sendAgain } from "../control/place.ts";
import { retryCalls } from "../control/retry.ts";
import type { StoredCall } from "../control/stored.ts";
import { InstanceError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { findLost } from "./lost.ts";
import { findGone, settleGone } from "./missing.ts";
import { ensureQueue, hasLeft, inQueue, queueInfo, readLiving, restartQueue } from "./queue.ts";

const AT_ONCE = 32;
/** From so many lost messages on an idle queue begins anew. */
const MANY = 1000;

/** What was done. */
export interface Reconciled {
  /** Calls that had left the queue without an outcome and are in it again. */
  sentAgain: number;
  /** Calls that the broker does not hold any more: they have ended as lost. */
  gone: number;
  /** The queue itself was gone, and is there again. */
  queueMade: boolean;
  /** Calls with an outcome on the broker, as far as was looked. */
  ended: ReadonlySet<number>;
}

const NOTHING: Reconciled = { sentAgain: 0, gone: 0, queueMade: false, ended: new Set() };

/** Whether calls of the tag may still run. */
export function isOpen({ closing, manifest }: TagAccess): boolean {
  return closing !== undefined && manifest.notAfterMs > Date.now();
}

/**
 * Whether calls may have been lost, by the broker's counts: cheap, and no list of keys.
 * @param countOpen counts calls whose outcome is not known here
 * @param countUnread counts outcomes that are stored and not known here; asked for only where it matters
 */
export async function mayHaveLost(
  access: TagAccess,
  countOpen: () => Promise<number> | number,
  countUnread: () => Promise<number> | number = () => 0,
): Promise<boolean> {
  if (!isOpen(access)) return false;
  // The queue first: what leaves it has its outcome by then.
  const queue = await queueInfo(access);
  const accounted = queue === undefined ? 0 : inQueue(queue) * access.options.chunkSize;
  const open = await countOpen();
  if (open <= accounted) return false;
  const unread = await countUnread();
  return queue === undefined || unread === 0 || open - unread > accounted;
}

async function retryAnew(access: TagAccess, indices: readonly number[]): Promise<number> {
  if (indices.length === 0) return 0;
  try {
    const broken = await retryCalls(
      access,
      [...indices].sort((a, b) => a - b),
    );
    return indices.length - broken.length;
  } catch (error) {
    // Somebody else retries or reconciles calls of it; what is left is found the next time.
    if (!(error instanceof InstanceError)) throw error;
    return 0;
  }
}

/** @returns how many calls are in the queue again */
async function sendAll(
  access: TagAccess,
  queue: ConsumerInfo,
  messages: readonly StoredCall[],
  ended: ReadonlySet<number>,
): Promise<number> {
  let left = messages;
  if (messages.length >= MANY && inQueue(queue) === 0 && (await restartQueue(access, queue, (i) => ended.has(i)))) {
    const restarted = await queueInfo(access);
    left = restarted === undefined ? [] : messages.filter(({ seq }) => hasLeft(restarted, seq));
  }
  const lanes = new Lanes(AT_ONCE);
  for (const message of left) await lanes.run(() => sendAgain(access, message));
  await lanes.done();
  return messages.reduce((sum, { count }) => sum + count, 0);
}

/**
 * Finds what was lost of a tag, and has it run again. Can be done by several at the same time, and cut off anywhere.
 * @throws InstanceError where the tag was deleted
 */
export async function reconcile(access: TagAccess): Promise<Reconciled> {
  const { closing, manifest } = access;
  if (closing === undefined || !isOpen(access)) return NOTHING;
  const control = await readLiving(access);
  if (control === undefined) throw new InstanceError(`${manifest.tag} was deleted`);
  await placeParked(access, control);
  const found = await ensureQueue(access, async () => {
    const before = await endedCalls(access);
    return (index) => before.has(index);
  });
  if (found === undefined) throw new InstanceError(`${manifest.tag} was deleted`);
  const { queue, made: queueMade } = found;
  // After the queue: whatever left it before has its outcome by now.
  const ended = await endedCalls(access);
  const unended = Array.from({ length: closing.calls }, (_, index) => index).filter((index) => !ended.has(index));
  const isCancelled = (index: number) => control.cancelled(index, control.generationOf(index)) !== undefined;
  const cancelled = control.cancel === undefined ? [] : unended.filter(isCancelled);
  await settleCancelled(access, control, rangesOf(cancelled), ended);
  const open = cancelled.length === 0 ? unended : unended.filter((index) => !isCancelled(index));
  const { messages, apart, missing, older } = await findLost(access, control, queue, open);
  const without = await findGone(access, control, missing);
  // In a generation of their own: their places in this one are not to be had, or nothing was signed for it.
  let sentAgain = await retryAnew(access, [...apart, ...without.filter((index) => older.has(index))]);
  sentAgain += await sendAll(access, queue, messages, ended);
  const gone = without.filter((index) => !older.has(index));
  await settleGone(access, control, gone);
  if (sentAgain > 0 || queueMade) await rouseWorkers(access);
  return { sentAgain, gone: gone.length, queueMade, ended: new Set([...ended, ...gone]) };
}
