/** The hashes of a tag's call messages, to which outcomes are bound. */
import type { Archive } from "../archive/index.ts";
import { StoredCalls } from "../control/stored.ts";
import type { TagAccess } from "./access.ts";

/** Hashes kept in memory before they are filed. */
const HASH_BATCH = 10_000;

/** A tag that was submitted elsewhere: fetches its calls once, checks them, and keeps the hash of each. */
export async function fetchHashes(access: TagAccess, archive: Archive): Promise<void> {
  const { closing } = access;
  if (closing === undefined || archive.hashOf(closing.calls - 1) !== undefined) return;
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
  }
  file();
}
