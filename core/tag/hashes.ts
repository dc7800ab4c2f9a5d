/** The hashes of a tag's call messages, to which outcomes are bound. */
import type { Archive } from "../archive/index.ts";
import { StoredCalls } from "../control/stored.ts";
import { showProgress } from "../progress.ts";
import type { TagAccess } from "./access.ts";

/** Hashes kept in memory before they are filed. */
const HASH_BATCH = 10_000;

/** From so many calls on it takes seconds, and progress is shown. */
const MANY = 50_000;

/**
 * A tag that was submitted elsewhere: fetches its calls once, checks them, and keeps the hash of each.
 * @param signal ends it early; the next time it begins anew
 */
export async function fetchHashes(
  access: TagAccess,
  archive: Archive,
  { signal, quiet = true }: { signal?: AbortSignal | undefined; quiet?: boolean | undefined } = {},
): Promise<void> {
  const { closing } = access;
  if (closing === undefined || archive.hashOf(closing.calls - 1) !== undefined) return;
  const progress = showProgress("check", closing.calls, quiet || closing.calls < MANY);
  try {
    await readHashes(access, archive, progress.update, signal);
  } finally {
    progress.stop();
  }
}

async function readHashes(
  access: TagAccess,
  archive: Archive,
  onRead: (calls: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  let read = 0;
  let run: { first: number; hashes: Uint8Array[] } | undefined;
  const file = () => {
    if (run !== undefined) archive.putHashes(run.first, run.hashes);
    run = undefined;
  };
  for await (const call of new StoredCalls(access).all()) {
    if (run === undefined || run.first + run.hashes.length !== call.first || run.hashes.length > HASH_BATCH) {
      file();
      run = { first: call.first, hashes: [] };
    }
    for (let i = 0; i < call.count; i++) run.hashes.push(call.hash);
    read += call.count;
    onRead(read);
    if (signal?.aborted === true) return;
  }
  file();
}
