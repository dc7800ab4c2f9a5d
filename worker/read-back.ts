/** Reading back what was heard live: the broker passes a message on a moment before it has stored it. */
import { setTimeout as delay } from "node:timers/promises";
import type { Stored, StreamReader } from "../core/broker/read.ts";

/** Waits before each look. Mostly the first finds it; a busy broker has been seen to need some 10 ms. */
const WAITS_MS = [0, 5, 20, 50, 100, 250, 500, 1000, 2000];

/**
 * The stored message on `subject`, as soon as it is the one that was heard.
 * @param heard the live message's data; only a hint, what is returned is what the broker holds
 * @returns after some seconds whatever is stored then, null where nothing is
 */
export async function readBack(
  reader: StreamReader,
  stream: string,
  subject: string,
  heard: Uint8Array,
): Promise<Stored | null> {
  let stored: Stored | null = null;
  for (const waitMs of WAITS_MS) {
    if (waitMs > 0) await delay(waitMs, undefined, { ref: false });
    stored = await reader.next(stream, subject);
    if (stored !== null && Buffer.compare(stored.data, heard) === 0) break;
  }
  return stored;
}
