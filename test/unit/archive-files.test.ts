import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Archive } from "../../core/archive/index.ts";
import { ArchiveError } from "../../core/errors.ts";
import { encodeError, encodeResult } from "../../core/values/index.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "archive-files-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);

/** The arguments that make node run `code`, which finds Archive and encodeResult, as a process of its own. */
function script(code: string, ...args: string[]): string[] {
  const url = (file: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, "../../core", file)).href);
  const imports = `const { Archive } = await import(${url("archive/index.ts")});
    const { encodeResult } = await import(${url("values/index.ts")});`;
  return ["--no-warnings", "--input-type=module", "-e", imports + code, ...args];
}

function fill(path: string, values: readonly unknown[]): void {
  using archive = Archive.create(path);
  archive.setMeta("tag", "tag_1");
  archive.setMeta("calls", values.length);
  const outcomes = values.map((value, index) => ({
    index,
    generation: 0,
    state: "succeeded" as const,
    value: encodeResult(value),
    worker: "w1",
    datacenter: "home",
    startedMs: 1000,
    durationMs: 250,
  }));
  archive.putOutcomes(outcomes, values.length);
}

describe("a file that cannot be read as an archive is left as it is", () => {
  function sqlite(path: string, script: string): void {
    const database = new DatabaseSync(path);
    database.exec(script);
    database.close();
  }

  test.each<[what: string, make: (path: string) => void, message: string]>([
    ["text", (path) => writeFileSync(path, "index,value\n0,1\n"), "is not a humq archive: it is no SQLite file"],
    ["nothing", (path) => writeFileSync(path, ""), "is not a humq archive: it is no SQLite file"],
    [
      "the beginning of an SQLite file",
      (path) => writeFileSync(path, "SQLite format 3\0"),
      "is not a humq archive, but another program's SQLite file",
    ],
    [
      "another program's SQLite file",
      (path) => sqlite(path, "CREATE TABLE a (b); PRAGMA user_version = 1"),
      "is not a humq archive, but another program's SQLite file",
    ],
    [
      "another program's SQLite file with a log",
      (path) => sqlite(path, "PRAGMA journal_mode = WAL; CREATE TABLE a (b)"),
      "is not a humq archive, but another program's SQLite file",
    ],
    [
      "a newer schema",
      (path) => {
        fill(path, [1]);
        sqlite(path, "PRAGMA user_version = 2");
      },
      "was written by a newer humq: its schema has version 2, this one reads up to 1; update humq",
    ],
  ])("%s", (_, make, message) => {
    make(at("file.db"));
    const before = readFileSync(at("file.db"));
    for (const readonly of [false, true]) {
      expect(() => Archive.open(at("file.db"), { readonly })).toThrow(ArchiveError);
      expect(() => Archive.open(at("file.db"), { readonly })).toThrow(`${at("file.db")} ${message}`);
    }
    expect(readFileSync(at("file.db"))).toEqual(before);
    expect(readdirSync(folder)).toEqual(["file.db"]);
  });

  test("none, or a folder", () => {
    expect(() => Archive.open(at("none.db"))).toThrow(new ArchiveError(`there is no file ${at("none.db")}`));
    expect(() => Archive.open(folder)).toThrow(new ArchiveError(`${folder} is a folder, not a humq archive`));
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("an archive that was cut off or overwritten is an ArchiveError, whatever is read", () => {
  fill(
    at("whole.db"),
    Array.from({ length: 5000 }, (_, i) => `value ${i}`),
  );
  const bytes = readFileSync(at("whole.db"));
  let refused = 0;
  for (let cut = 100; cut < bytes.length; cut += 7001) {
    writeFileSync(at("cut.db"), bytes);
    if (cut % 2) truncateSync(at("cut.db"), cut);
    else writeFileSync(at("cut.db"), Buffer.from(bytes).fill(0xa5, cut, cut + 5000));
    try {
      using archive = Archive.open(at("cut.db"));
      for (const { value } of archive.values()) String(value);
      archive.outcome(4999);
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      refused++;
    }
    for (const suffix of ["", "-wal", "-shm"]) rmSync(at(`cut.db${suffix}`), { force: true });
  }
  expect(refused).toBeGreaterThan(10);
});

describe("a process that is killed", () => {
  const pulling = `
    const archive = Archive.create(process.argv[1]);
    archive.setMeta("tag", "killed_1");
    for (let batch = 1; ; batch++) {
      const first = (batch - 1) * 100;
      const outcomes = Array.from({ length: 100 }, (_, i) => ({ index: first + i, generation: 0, state: "succeeded", value: encodeResult({ n: first + i }) }));
      archive.putOutcomes(outcomes, batch);
      process.stdout.write(batch + "\\n");
    }`;

  test.each(["SIGKILL", "SIGINT"] as const)(
    "by %s leaves whole batches, and the position that goes with them",
    async (signal) => {
      for (const atLeast of [1, 40]) {
        const path = at(`${signal}-${atLeast}.db`);
        const child = spawn(process.execPath, script(pulling, path), { stdio: ["ignore", "pipe", "inherit"] });
        let said = 0;
        for await (const text of child.stdout) {
          said = Number(String(text).trim().split("\n").at(-1));
          if (said >= atLeast) break;
        }
        child.kill(signal);
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");

        using archive = Archive.open(path);
        const batches = archive.readPosition;
        expect(batches).toBeGreaterThanOrEqual(said);
        expect(archive.counts().results).toBe(batches * 100);
        expect([...archive.values()].map(({ value }) => (value as { n: number }).n)).toEqual(
          Array.from({ length: batches * 100 }, (_, i) => i),
        );
      }
    },
  );
});

test("two processes that pull into the same file file each call once", async () => {
  const path = at("shared.db");
  Archive.create(path).close();
  const pulling = `
    const archive = Archive.open(process.argv[1]);
    let filed = 0;
    for (let first = 0; first < 10000; first += 50) {
      const outcomes = Array.from({ length: 50 }, (_, i) => ({ index: first + i, generation: 0, state: "succeeded", value: encodeResult(process.argv[2]) }));
      filed += archive.putOutcomes(outcomes, first + 50);
    }
    archive.close();
    console.log(filed);`;
  const filed = await Promise.all(
    ["a", "b", "c"].map(async (name) => {
      const child = spawn(process.execPath, script(pulling, path, name), { stdio: ["ignore", "pipe", "inherit"] });
      let text = "";
      child.stdout.on("data", (data) => {
        text += data;
      });
      await once(child, "close");
      return [name, Number(text)] as const;
    }),
  );
  using archive = Archive.open(path);
  const values = [...archive.values()].map(({ value }) => value);
  expect(archive.counts().results).toBe(10_000);
  expect(archive.readPosition).toBe(10_000);
  for (const [name, count] of filed) expect(values.filter((value) => value === name).length).toBe(count);
});

test("temporary files are gone when the process ends, and lasting ones are one file", () => {
  for (const end of ["", "process.exit(3);", "setTimeout(() => { throw new Error('end') });"]) {
    const code = `const archives = [Archive.createTemporary(), Archive.createTemporary(), Archive.create(process.argv[1], { overwrite: true })];
      for (const archive of archives) archive.putOutcomes([{ index: 0, generation: 0, state: "succeeded", value: encodeResult(1) }], 1);
      console.log(JSON.stringify(archives.map((archive) => archive.path))); ${end}`;
    const { stdout } = spawnSync(process.execPath, script(code, at("lasting.db")), { encoding: "utf8" });
    const paths = JSON.parse(stdout) as string[];
    expect(paths.map((path) => existsSync(join(path, "..")))).toEqual([false, false, true]);
    expect(readdirSync(folder)).toEqual(["lasting.db"]);
  }
});

test("archives that are dropped without being closed are closed", () => {
  const code = `const paths = [];
    for (let i = 0; i < 50; i++) paths.push(Archive.createTemporary().path);
    const { existsSync } = await import("node:fs");
    for (let i = 0; i < 100 && paths.some((path) => existsSync(path)); i++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.log(paths.filter((path) => existsSync(path)).length);`;
  const { stdout } = spawnSync(process.execPath, ["--expose-gc", ...script(code)], { encoding: "utf8" });
  expect(Number(stdout)).toBeLessThan(5);
});

test("large results are read a few at a time", () => {
  const write = `const archive = Archive.create(process.argv[1]);
    for (let index = 0; index < 60; index++) {
      archive.putOutcomes([{ index, generation: 0, state: "succeeded", value: encodeResult(new Uint8Array(3e6)) }], index);
    }
    archive.close();`;
  // A process of its own reads, so that what writing left behind is not counted.
  const read = `const archive = Archive.open(process.argv[1]);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let results = 0;
    for (const _ of archive.values()) {
      globalThis.gc();
      results++;
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    console.log(JSON.stringify({ results, most }));`;
  const run = (code: string) =>
    spawnSync(process.execPath, ["--expose-gc", ...script(code, at("large.db"))], { encoding: "utf8" }).stdout;
  run(write);
  const { results, most } = JSON.parse(run(read));
  expect(results).toBe(60);
  expect(most).toBeGreaterThan(1e6);
  expect(most).toBeLessThan(60e6); // all of them are 180 MB
});

function hasSqlite3(): boolean {
  return spawnSync("sqlite3", ["--version"]).status === 0;
}

describe.skipIf(!hasSqlite3())("with the sqlite3 tool", () => {
  const query = (path: string, sql: string): string =>
    execFileSync("sqlite3", ["-readonly", path, sql], { encoding: "utf8" }).trim();

  test("what docs/archive.md shows works", () => {
    fill(at("runs.db"), [{ mean: 0.5 }, { mean: 1.25, label: "b" }, 7, "text", new Float64Array(1), null]);
    {
      using archive = Archive.open(at("runs.db"));
      archive.putOutcomes(
        [{ index: 6, generation: 0, state: "failed", error: encodeError(new RangeError("over the edge")) }],
        9,
      );
      archive.putHashes(
        0,
        Array.from({ length: 8 }, () => new Uint8Array(32)),
      );
    }
    expect(query(at("runs.db"), "select idx, value ->> '$.mean' from outcomes where idx < 2")).toBe("0|0.5\n1|1.25");
    expect(query(at("runs.db"), "select typeof(value) from outcomes")).toBe("text\ntext\ntext\ntext\nblob\ntext\nnull");
    expect(query(at("runs.db"), "select value + 1, worker, datacenter, finished_ms from outcomes where idx = 2")).toBe(
      "8|w1|home|1250",
    );
    expect(query(at("runs.db"), "select idx, state, error_message from outcomes where state <> 'succeeded'")).toBe(
      "6|failed|RangeError: over the edge",
    );
    expect(query(at("runs.db"), "select state, count(*) from calls group by state order by 1")).toBe(
      "failed|1\nopen|1\nsucceeded|6",
    );
    expect(query(at("runs.db"), "select name, calls from states where calls > 0")).toBe("succeeded|6\nfailed|1");
    expect(query(at("runs.db"), "select value from meta where key = 'tag'")).toBe("tag_1");
    expect(query(at("runs.db"), "pragma integrity_check")).toBe("ok");
  });
});
