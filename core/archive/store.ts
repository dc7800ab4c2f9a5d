import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { atEnd } from "../ending.ts";
import { ArchiveError } from "../errors.ts";
import { guarded } from "./failure.ts";
import { removeTemporaryFile } from "./files.ts";
import { CAREFUL, checkSchema } from "./harmless.ts";
import { SCHEMA } from "./schema.ts";

/**
 * Rows of a megabyte are written twice as fast in these as in SQLite's own 4096, and short ones a fifth
 * (docs/decisions/0013-speed.md).
 */
const PAGE_BYTES = 16 * 1024;
/**
 * With a write-ahead log, readers and the writer do not wait for each other, and a killed process leaves a consistent file.
 * NORMAL: a power cut may cost the last outcomes, together with the position they are pulled from.
 */
const LASTING = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL";
/** Nobody opens a temporary file after this process, and a log would have each byte written twice. It is synced when it is kept. */
const PASSING = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF";
/** How long a write waits while another process writes to the same file. */
const BUSY_TIMEOUT_MS = 30_000;

/** Stores that are open, so that none stays half-closed when the process ends. */
const openStores = new Set<Store>();
let closesOnExit = false;

function closeAll(): void {
  for (const store of openStores) store.close();
}

/** An open connection to the SQLite file of an archive. */
export class Store {
  readonly path: string;
  readonly temporary: boolean;
  private readonly database: DatabaseSync;
  private readonly readonly: boolean;
  private readonly statements = new Map<string, StatementSync>();

  /** @param temporary - The file is removed when the store is closed. */
  constructor(path: string, options: { readonly?: boolean; temporary?: boolean } = {}) {
    this.path = path;
    this.readonly = options.readonly ?? false;
    this.temporary = options.temporary ?? false;
    this.database = guarded(path, () => openDatabase(path, this.readonly, this.temporary));
    openStores.add(this);
    if (!closesOnExit) {
      closesOnExit = true;
      process.on("exit", closeAll);
      atEnd(closeAll);
    }
  }

  /** The prepared statement for `sql`, whatever it is bound to. */
  prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = guarded(this.path, () => this.database.prepare(sql));
      this.statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs `action` on the file; see {@link guarded}. */
  run<T>(action: () => T): T {
    return guarded(this.path, action);
  }

  execute(sql: string): void {
    guarded(this.path, () => this.database.exec(sql));
  }

  /** Runs `action` in a transaction that no other process can write during. */
  transaction<T>(action: () => T): T {
    this.execute("BEGIN IMMEDIATE");
    try {
      const result = guarded(this.path, action);
      this.execute("COMMIT");
      return result;
    } catch (error) {
      // A full disk ends the transaction by itself.
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Writes everything to one file, without a log beside it, unless another process still uses it. */
  close(): void {
    if (!openStores.delete(this)) return;
    if (!this.readonly && !this.temporary) this.foldLog();
    this.database.close();
    if (this.temporary) removeTemporaryFile(this.path);
  }

  /** As {@link close}, but a temporary file stays. Throws if its log could not be folded into it. */
  release(): void {
    openStores.delete(this);
    this.foldLog();
    this.database.close();
    if (existsSync(`${this.path}-wal`)) {
      throw new ArchiveError(
        `the archive ${this.path} cannot be moved: its log could not be written back (is the disk full?)`,
      );
    }
  }

  private foldLog(): void {
    try {
      this.database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE");
    } catch {
      // In use elsewhere, or the disk is full: the log stays beside the file, and SQLite reads both.
    }
  }
}

/** Makes an empty archive. Without a log, so that what marks it as one is in the file itself from the beginning. */
export function createDatabase(path: string): void {
  makeDatabase(path, "");
}

/** An empty archive as it lies in its file, once one was made. */
let empty: Buffer | undefined;

/** As {@link createDatabase}, in an empty temporary file: without a sync, and after the first time without SQLite, which would take milliseconds. */
export function createTemporaryDatabase(path: string): void {
  if (empty === undefined) {
    makeDatabase(path, PASSING);
    empty = guarded(path, () => readFileSync(path));
    return;
  }
  const bytes = empty;
  guarded(path, () => writeFileSync(path, bytes, { flag: "r+" }));
}

function makeDatabase(path: string, pragmas: string): void {
  guarded(path, () => {
    const database = new DatabaseSync(path);
    try {
      database.exec(`${pragmas}; PRAGMA page_size = ${PAGE_BYTES}; BEGIN; ${SCHEMA} COMMIT`);
    } finally {
      database.close();
    }
  });
}

function openDatabase(path: string, readonly: boolean, temporary: boolean): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: readonly });
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; ${CAREFUL}`);
    checkSchema(database, path);
    if (!readonly) database.exec(temporary ? PASSING : LASTING);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * @throws ArchiveError if this process has the archive at `path` open: replacing the file would cut it off from its log.
 */
export function refuseIfOpen(path: string): void {
  for (const store of openStores) {
    if (store.path === path || isSameFile(store.path, path)) {
      throw new ArchiveError(
        `${path} is in use by a tag of this process; close that tag first, or choose another name`,
      );
    }
  }
}

function isSameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false; // one of them is not there
  }
}
