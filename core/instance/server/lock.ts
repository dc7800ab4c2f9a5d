import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

/** Held until released, or until this process ends in whatever way. */
export interface Lock {
  /** Further calls do nothing. */
  release(): void;
}

/** SQLite's result code for a database another connection has locked, https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Take the lock that `path` stands for, or return undefined where another process (or this one) holds it.
 *
 * Node has no file locks; SQLite does, by the kernel, so a lock ends with its holder and no stale file can
 * keep anyone out. The file stays empty and is never removed (removing it would split the lock in two).
 * @throws Error where the file cannot be made or opened.
 */
export function tryLock(path: string): Lock | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path);
  try {
    // A journal on the disk would outlive a holder that is killed.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}

const ASK_AGAIN_MS = 50;

/** Runs `action` while nobody else holds the lock that `path` stands for; waits for it as long as it takes. */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  let lock = tryLock(path);
  for (; lock === undefined; lock = tryLock(path)) await delay(ASK_AGAIN_MS);
  try {
    return await action();
  } finally {
    lock.release();
  }
}
