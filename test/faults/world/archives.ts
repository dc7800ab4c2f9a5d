/** Archives read as SQLite files: none of humq's code takes part. */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { FoundArchive, FoundOutcome } from "../check/history.ts";

interface Row {
  idx: number;
  state: string;
  value: string | Uint8Array | null;
  error_message: string | null;
  generation: number;
  attempts: number | null;
  losses: number | null;
}

/** @param name for messages */
export function readArchive(path: string, name: string): FoundArchive {
  using db = new DatabaseSync(path);
  const integrity = db
    .prepare("PRAGMA integrity_check")
    .all()
    .map((row) => String(Object.values(row)[0]))
    .join("; ");
  const { value: tag } = db.prepare("SELECT value FROM meta WHERE key = 'tag'").get() as { value: string };
  const rows = db.prepare("SELECT idx, state, value, error_message, generation, attempts, losses FROM outcomes").all();
  const outcomes = (rows as unknown as Row[]).map(
    (row): FoundOutcome => ({
      index: row.idx,
      state: row.state,
      ...(row.state === "succeeded" && { value: typeof row.value === "string" ? JSON.parse(row.value) : row.value }),
      ...(row.error_message !== null && { message: row.error_message }),
      generation: row.generation,
      attempts: row.attempts ?? 0,
      losses: row.losses ?? 0,
    }),
  );
  return { name, tag, integrity, outcomes };
}

/** Whether there is an archive, and somebody has filed something in it. */
export function holdsOutcomes(path: string): boolean {
  if (!existsSync(path)) return false;
  using db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare("SELECT 1 FROM outcomes LIMIT 1").get() !== undefined;
  } catch {
    // It is being made.
    return false;
  }
}
