import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";

/**
 * Everything that was written before what has just been read is read as well: what the event loop finds ready in
 * its next poll includes it.
 */
export async function afterNextPoll(): Promise<void> {
  await turn();
  await turn();
}

/** Whether the event comes within so many milliseconds. */
export async function within(event: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const timeout = sleep(ms, false, { signal: over.signal }).catch(() => false);
  const came = await Promise.race([event.then(() => true), timeout]);
  over.abort();
  return came;
}
