/** Archive files from strangers, and what lies in the way of those that are written. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { toJson } from "../../cli/stream.ts";
import { table } from "../../cli/table.ts";
import { Archive } from "../../core/archive/index.ts";
import { ArchiveError, HumqError } from "../../core/errors.ts";
import { Tag } from "../../core/index.ts";
import { decodeError } from "../../core/values/index.ts";
import { at, failure, keep, result } from "../support/archives.ts";
import { holds, isHarmless, mutated, valueOrRefusal } from "../support/fuzz.ts";
import { counting } from "../support/trust.ts";

const WHO = "costly_0b5f1c2e-7c1d-4b8e-9d0e-3c5a7f1b2d4e";

function made(name: string): string {
  const archive = Archive.create(at(name));
  archive.setMeta("tag", WHO);
  archive.setMeta("instance", "lab");
  archive.setMeta("task", "costly");
  archive.setMeta("createdMs", 1_763_600_000_000);
  archive.setMeta("calls", 4);
  archive.putHashes(0, [counting(0), counting(1), counting(2), counting(3)]);
  const known = { worker: "w", datacenter: "local", attempts: 1, losses: 0, startedMs: 5, durationMs: 1.5 };
  archive.putOutcomes(
    [result(0, { a: [1, "x"] }, known), result(1, new Map([[1, 2n]]), known), failure(2, new TypeError("no"), known)],
    3,
  );
  archive.close();
  return at(name);
}

/** A file whose owner went at it with SQLite. */
function tampered(name: string, sql: string): string {
  const path = made(name);
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  database.exec(sql);
  database.close();
  return path;
}

/** All that commands and programs read of a file. */
function readAll(path: string): void {
  using archive = Archive.open(path, { readonly: true });
  archive.counts();
  for (const key of [
    "tag",
    "instance",
    "rootKey",
    "user",
    "task",
    "createdMs",
    "expiresMs",
    "calls",
    "retries",
  ] as const)
    archive.getMeta(key);
  for (const { value } of archive.values()) JSON.stringify(toJson(value));
  for (const _ of archive.results());
  for (const { error } of archive.errors()) decodeError(error);
  for (const _ of archive.ended());
  for (let index = 0; index < 4; index++) archive.outcome(index);
  for (const _ of archive.openIndices());
}

const refused = (path: string, why: RegExp): void => {
  let error: unknown;
  try {
    readAll(path);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(HumqError);
  expect((error as Error).message).toMatch(why);
};

describe("a file from a stranger", () => {
  test("with any byte or page altered is read as an archive or refused as one", () => {
    const bytes = readFileSync(made("whole.db"));
    holds(
      mutated(bytes),
      (altered) => {
        writeFileSync(at("altered.db"), altered);
        valueOrRefusal(() => readAll(at("altered.db")));
      },
      3_000,
    );
    // A header that is right leads further in.
    holds(
      mutated(bytes.subarray(100)),
      (altered) => {
        writeFileSync(at("altered.db"), Buffer.concat([bytes.subarray(0, 100), altered]));
        valueOrRefusal(() => readAll(at("altered.db")));
      },
      3_000,
    );
  });

  test.each([
    [
      "a trigger",
      "CREATE TRIGGER t AFTER INSERT ON ended BEGIN DELETE FROM hashes; END",
      /trigger "t" that humq does not make/,
    ],
    [
      "a trigger on a table of its own",
      "CREATE TABLE x (a); CREATE TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM ended; END",
      /trigger "t"/,
    ],
    [
      "a view in the place of a table, which never ends",
      `DROP VIEW calls; DROP VIEW outcomes; DROP TABLE ended;
       CREATE VIEW ended AS WITH RECURSIVE n(idx) AS (SELECT 0 UNION ALL SELECT idx + 1 FROM n)
       SELECT idx, 0 AS generation, 0 AS state, NULL AS value, NULL AS error, NULL AS worker, 0 AS attempts FROM n`,
      /that humq does not make/,
    ],
    [
      "another view of the same name",
      "DROP VIEW calls; CREATE VIEW calls AS SELECT 1",
      /view "calls" that humq does not make/,
    ],
    [
      "a column that is computed",
      "ALTER TABLE ended ADD COLUMN x AS (zeroblob(1000000000))",
      /that humq does not make/,
    ],
    ["an index that calls functions", "CREATE INDEX i ON ended (abs(idx))", /index "i" that humq does not make/],
    ["a missing table", "DROP VIEW calls; DROP TABLE hashes", /lacks tables/],
  ])("that has %s is refused before anything of it is read, and stays as it is", (_, sql, why) => {
    const path = tampered("hostile.db", sql);
    const before = readFileSync(path);
    refused(path, why);
    expect(() => Archive.open(path)).toThrow(ArchiveError);
    expect(() => Tag.fromFile(path)).toThrow(ArchiveError);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(at())).toEqual(["hostile.db"]);
  });

  test("may have tables and views of its reader's own beside humq's", () => {
    readAll(tampered("mine.db", "CREATE TABLE notes (idx, text); CREATE VIEW slow AS SELECT idx FROM ended"));
  });

  const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  test.each([
    ["a number that is a text", "UPDATE ended SET attempts = 'many'", /its attempts is no number/],
    ["a time that is none", "UPDATE ended SET started_ms = x'00'", /its startedMs is no number/],
    ["a number below nothing", "UPDATE ended SET losses = -1", /its losses is no number/],
    ["a name that is a blob", "UPDATE workers SET worker = x'1b5b324a'", /its worker is no string/],
    ["a state that is none", "UPDATE ended SET state = 99", /no such state/],
    ["a number beyond 2^53", "UPDATE ended SET attempts = 9223372036854775807", /damaged/],
    ["an index beyond 2^53", "UPDATE ended SET idx = 9223372036854775807 WHERE idx = 2", /damaged/],
    ["a result that is not JSON", "UPDATE ended SET value = '{' WHERE idx = 0", /is not JSON/],
    ["a result that is a number", "UPDATE ended SET value = 5 WHERE idx = 0", /neither result nor error/],
    ["a result that is no value", "UPDATE ended SET value = x'ff' WHERE idx = 0", /not a value humq encoded/],
    [
      "a result nested a hundred thousand deep",
      `UPDATE ended SET value = '${nested}' WHERE idx = 0`,
      /more than 1000 deep/,
    ],
    ["an error that is a text", "UPDATE ended SET error = 'no' WHERE idx = 2", /neither result nor error/],
    ["an error that is another value", "UPDATE ended SET error = x'01' WHERE idx = 2", /another value/],
    ["a tag that is a wildcard", "UPDATE meta SET value = '*' WHERE key = 'tag'", /its tag cannot be "\*"/],
    ["a tag that reaches into other subjects", "UPDATE meta SET value = 'a.>' WHERE key = 'tag'", /its tag cannot be/],
    [
      "an instance that is a path",
      "UPDATE meta SET value = '../../x' WHERE key = 'instance'",
      /its instance cannot be/,
    ],
    ["more calls than can be", "UPDATE meta SET value = 9007199254740991 WHERE key = 'calls'", /its calls cannot be/],
    ["fewer calls than none", "UPDATE meta SET value = -1 WHERE key = 'calls'", /its calls cannot be/],
    ["calls in parts", "UPDATE meta SET value = 1.5 WHERE key = 'calls'", /its calls cannot be/],
  ])("that holds %s is refused where that is read", (_, sql, why) => {
    refused(tampered("odd.db", sql), why);
  });

  test("that holds a result larger than results can be, in holes of the file, is refused without reading it", () => {
    const path = tampered("huge.db", "UPDATE ended SET value = zeroblob(600000000) WHERE idx = 0");
    const before = process.memoryUsage().rss;
    refused(path, /neither result nor error/);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    truncateSync(path, 0);
  });

  test("shows none of its texts to a terminal as they are", () => {
    const path = tampered(
      "escapes.db",
      "UPDATE meta SET value = char(27) || ']0;owned' || char(7) WHERE key = 'task'; UPDATE workers SET worker = char(27) || '[2J'",
    );
    using archive = Archive.open(path, { readonly: true });
    const { worker = "" } = archive.outcome(0)!;
    expect(worker).toBe("\u001b[2J");
    expect(isHarmless(table(["TASK", "WORKER"], [[archive.getMeta("task") ?? "", worker]]))).toBe(true);
  });

  test("that is a pipe, a device or a folder is refused at once", () => {
    expect(spawnSync("mkfifo", [at("pipe.db")]).status).toBe(0);
    mkdirSync(at("folder.db"));
    for (const path of [at("pipe.db"), "/dev/zero", "/dev/full", at("folder.db"), at("a\0b.db"), at("x".repeat(300))]) {
      expect(() => Archive.open(path)).toThrow(ArchiveError);
      expect(() => Archive.open(path, { readonly: true })).toThrow(ArchiveError);
    }
  });
});

describe("a file that is written", () => {
  test("never goes through a link that somebody laid in its place", () => {
    writeFileSync(at("precious"), "mine");
    symlinkSync(at("precious"), at("link.db"));
    symlinkSync(at("nowhere"), at("dangling.db"));
    const source = keep(Archive.open(made("source.db")));
    for (const name of ["link.db", "dangling.db"]) {
      expect(() => source.copyTo(at(name))).toThrow(/exists/);
      expect(() => Archive.create(at(name))).toThrow(/exists/);
      expect(lstatSync(at(name)).isSymbolicLink()).toBe(true);
    }
    expect(readlinkSync(at("dangling.db"))).toBe(at("nowhere"));
    // Told to replace it, it takes the link's place, not that of what the link leads to.
    for (const name of ["link.db", "dangling.db"]) {
      source.copyTo(at(name), { overwrite: true });
      expect(lstatSync(at(name)).isFile()).toBe(true);
      readAll(at(name));
    }
    expect(readFileSync(at("precious"), "utf8")).toBe("mine");
    expect(existsSync(at("nowhere"))).toBe(false);
    expect(statSync(at("dangling.db")).mode & 0o077).toBe(0);
  });

  test("never takes the place of a pipe or a device", () => {
    expect(spawnSync("mkfifo", [at("pipe.db")]).status).toBe(0);
    const source = keep(Archive.open(made("source.db")));
    for (const path of [at("pipe.db"), "/dev/null"]) {
      expect(() => source.copyTo(path, { overwrite: true })).toThrow(/is no file, and is not replaced/);
      expect(lstatSync(path).isFile()).toBe(false);
    }
  });

  test("cannot be under a name that no file can have, and leaves nothing behind then", () => {
    const source = keep(Archive.open(made("source.db")));
    for (const name of ["a\0b.db", "x".repeat(300), `${"x".repeat(250)}.db`]) {
      expect(() => source.copyTo(at(name))).toThrow(ArchiveError);
      expect(() => Archive.create(at(name))).toThrow(ArchiveError);
    }
    expect(readdirSync(at()).filter((name) => !name.startsWith("source.db"))).toEqual([]);
  });

  test("leaves the file there alone where another comes first", () => {
    const source = keep(Archive.open(made("source.db")));
    writeFileSync(at("taken.db"), "theirs");
    chmodSync(at("taken.db"), 0o600);
    expect(() => source.copyTo(at("taken.db"))).toThrow(/exists/);
    expect(readFileSync(at("taken.db"), "utf8")).toBe("theirs");
  });
});
