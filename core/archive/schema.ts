/** The schema of an archive, version 1. docs/archive.md describes it for readers of the file; what it says there stays. */

/** `PRAGMA application_id`: "humq" in ASCII. */
export const APPLICATION_ID = 0x68756d71;
/** `PRAGMA user_version`. A file of a newer one is refused. */
export const SCHEMA_VERSION = 1;

/** How a call can end; the position is the number it is stored by. */
export const ENDINGS = ["succeeded", "failed", "killed", "lost", "refused", "cancelled", "skipped"] as const;
export type Ending = (typeof ENDINGS)[number];

/**
 * Ten million calls are the measure: states and workers are stored as numbers, which the views turn into words, and
 * `states` counts along, so that nothing ever has to count rows. `INTEGER PRIMARY KEY` tables are smaller and faster
 * here than `WITHOUT ROWID` ones, which keep whole rows in inner pages.
 */
export const SCHEMA = `
  CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value
  ) WITHOUT ROWID;

  CREATE TABLE states (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    calls INTEGER NOT NULL DEFAULT 0
  );

  CREATE TABLE workers (
    id         INTEGER PRIMARY KEY,
    datacenter TEXT NOT NULL,
    worker     TEXT NOT NULL,
    UNIQUE (datacenter, worker)
  );

  CREATE TABLE ended (
    idx               INTEGER PRIMARY KEY,
    generation        INTEGER NOT NULL,
    state             INTEGER NOT NULL REFERENCES states (id),
    value,
    error_message     TEXT,
    error             BLOB,
    worker            INTEGER REFERENCES workers (id),
    attempts          INTEGER,
    losses            INTEGER,
    started_ms        INTEGER,
    duration_ms       NUMERIC,
    peak_memory_bytes INTEGER
  );
  CREATE INDEX ended_otherwise ON ended (idx) WHERE state <> 0;

  CREATE TABLE hashes (
    idx  INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
  );

  CREATE VIEW outcomes AS
    SELECT
      idx,
      (SELECT name FROM states WHERE id = state) AS state,
      value,
      error_message,
      error,
      (SELECT nullif(workers.worker, '') FROM workers WHERE id = ended.worker) AS worker,
      (SELECT nullif(datacenter, '') FROM workers WHERE id = ended.worker) AS datacenter,
      generation,
      attempts,
      losses,
      started_ms,
      started_ms + duration_ms AS finished_ms,
      duration_ms,
      peak_memory_bytes
    FROM ended;

  CREATE VIEW calls AS
    SELECT
      hashes.idx AS idx,
      coalesce(outcomes.state, 'open') AS state,
      hash,
      value,
      error_message,
      error,
      worker,
      datacenter,
      generation,
      attempts,
      losses,
      started_ms,
      finished_ms,
      duration_ms,
      peak_memory_bytes
    FROM hashes LEFT JOIN outcomes ON outcomes.idx = hashes.idx;

  ${ENDINGS.map((name, id) => `INSERT INTO states (id, name) VALUES (${id}, '${name}');`).join("\n  ")}

  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;
