/**
 * `chunkSize: "auto"`: how many calls to send in one message, by how long calls take where they run.
 *
 * They are timed on a worker and not here: here may be another machine, without the packages or files that they need, and a
 * call that takes an hour could not be ended. So the first ones go ahead as a tag of their own, which is deleted again.
 */
import type { Archive } from "../archive/index.ts";
import { LEAST_RETENTION_MS } from "../broker/expiry.ts";
import { deleteTag } from "../control/delete.ts";
import type { Session } from "../instance/session.ts";
import type { CheckedOptions } from "../options.ts";
import { openTag } from "../tag/access.ts";
import { outcomeEvents } from "../watch/events.ts";
import { Recorder } from "./recorder.ts";
import { type CallSource, RecordedSource } from "./source.ts";
import { type CapturedTask, submitTag } from "./submit.ts";

/** Calls that are timed, */
const SAMPLE = 8;
/** and how long is waited for them, in milliseconds: what takes longer, or finds no worker, goes one by one. */
const PATIENCE_MS = 3_000;
/** What a message of calls should take, in milliseconds: well below the time that a pack of results may (together.ts). */
const MESSAGE_MS = 20;
/** Nothing is gained by more. */
const MOST = 200;
/** Messages that there are at least, so that all slots have something to do. */
const MESSAGES_LEAST = 64;

/** How long calls took that ended in time. */
async function durations(session: Session, archive: Archive): Promise<number[]> {
  const found: number[] = [];
  const access = await openTag(session, archive.getMeta("tag")!);
  for await (const { durationMs } of outcomeEvents(access, archive, AbortSignal.timeout(PATIENCE_MS)))
    found.push(durationMs);
  return found;
}

/** @param tookMs of each call that was timed */
export function chunkSizeFor(tookMs: readonly number[], calls: number | undefined): number {
  if (tookMs.length < SAMPLE) return 1;
  // The first one pays for the code's start; and one that waits for something says little of the others.
  const median = [...tookMs].sort((a, b) => a - b)[tookMs.length >> 1]!;
  const most = calls === undefined ? MOST : Math.min(MOST, Math.floor(calls / MESSAGES_LEAST));
  return Math.max(1, Math.min(most, Math.floor(MESSAGE_MS / Math.max(median, MESSAGE_MS / MOST))));
}

/** The options with a chunk size, found out where it was not given. */
export async function withChunkSize(
  session: Session,
  task: CapturedTask,
  source: CallSource,
  options: CheckedOptions,
): Promise<CheckedOptions> {
  const isFew = source.length !== undefined && source.length < 2 * MESSAGES_LEAST;
  if (!options.chunkAuto || isFew) return options;
  const sample = new Recorder();
  for (const call of source.peek(SAMPLE)) sample.add(call);
  const timed = { ...options, attempts: 1, concurrency: 0, retentionMs: LEAST_RETENTION_MS, quiet: true };
  const archive = await submitTag(session, task, new RecordedSource(sample), timed);
  try {
    return { ...options, chunkSize: chunkSizeFor(await durations(session, archive), source.length) };
  } finally {
    await deleteTag(session, archive.getMeta("tag")!);
    archive.close();
  }
}
