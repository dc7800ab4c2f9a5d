/**
 * An archive may come from a stranger. SQLite runs what a file's schema says: a table can be a view that never ends, a
 * trigger can change other tables. So nothing is read of a file whose tables are not exactly ours
 * (https://sqlite.org/security.html, "Untrusted SQLite Database Files").
 */
import { DatabaseSync } from "node:sqlite";
import { ArchiveError } from "../errors.ts";
import { SCHEMA } from "./schema.ts";

/** Before anything is read: functions in a schema must be harmless ones, and pages are checked more closely. */
export const CAREFUL = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0";

interface Entry {
  type: string;
  name: string;
  table: string;
  /** null of an index that SQLite makes by itself. */
  sql: string | null;
}

function entriesOf(database: DatabaseSync): Entry[] {
  const rows = database.prepare("SELECT type, name, tbl_name AS 'table', sql FROM sqlite_schema").all();
  return rows as unknown as Entry[];
}

/** A version of humq may lay the same schema out in other lines. */
function meaningOf({ type, name, table, sql }: Entry): string {
  return JSON.stringify([type, name, table, typeof sql === "string" ? sql.replace(/\s+/g, " ") : sql]);
}

let known: { meanings: ReadonlySet<string>; tables: ReadonlySet<string> } | undefined;

function ourSchema(): NonNullable<typeof known> {
  if (known !== undefined) return known;
  const database = new DatabaseSync(":memory:");
  try {
    database.exec(SCHEMA);
    const entries = entriesOf(database);
    known = { meanings: new Set(entries.map(meaningOf)), tables: new Set(entries.map(({ name }) => name)) };
    return known;
  } finally {
    database.close();
  }
}

/**
 * Tables and views of the reader's own are let be.
 *
 * @throws ArchiveError where a table, index or view of ours is another than the one humq makes, is missing, or where
 *   something is hung on them
 */
export function checkSchema(database: DatabaseSync, path: string): void {
  const { meanings, tables } = ourSchema();
  const entries = entriesOf(database);
  const missing = new Set(meanings);
  for (const entry of entries) {
    if (missing.delete(meaningOf(entry))) continue;
    const { type, name, table } = entry;
    if (type === "trigger" || tables.has(`${table}`.toLowerCase()) || tables.has(`${name}`.toLowerCase())) {
      throw refusal(path, `it has a ${type} ${JSON.stringify(name)} that humq does not make`);
    }
  }
  if (missing.size > 0) throw refusal(path, "it lacks tables that humq makes");
}

function refusal(path: string, why: string): ArchiveError {
  return new ArchiveError(`the archive ${path} was changed by something else than humq, and is not read: ${why}`);
}
