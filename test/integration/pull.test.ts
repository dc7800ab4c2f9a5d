/** Pulling, and the archive that it fills. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Archive } from "../../core/archive/index.ts";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { Running } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";

const SLOTS = 8;
let instance: TestInstance;
let gate: Gate;
let folder: ReturnType<typeof temporaryDirectory>;
beforeAll(async () => {
  instance = await startInstance({ slots: SLOTS });
  gate = await Gate.start();
  folder = temporaryDirectory("humq archives ");
});
afterAll(async () => {
  await instance?.stop();
  await gate?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

/** Ends when the gate lets its key through. */
const wait = async (url: string, key: string, size: number): Promise<string> => {
  await (await fetch(`${url}/${key}`)).text();
  return key.padEnd(size, ".");
};

let tags = 0;
/** A tag whose calls wait at the gate. */
async function waiting(calls: number, size = 0): Promise<{ tag: Tag<string>; open(...calls: number[]): void }> {
  const prefix = `tag${tags++}-`;
  const work = task(wait);
  for (let i = 0; i < calls; i++) work(gate.url, `${prefix}${i}`, size);
  const tag = await work.submit({ tag: `waiting${tags}` });
  return { tag, open: (...indices) => gate.open(...indices.map((index) => `${prefix}${index}`)) };
}

/** Waits until the broker has so many outcomes of a tag. */
function ended(tag: Tag, calls: number): Promise<unknown> {
  return until(
    `${calls} outcomes`,
    () => tag.status(),
    ({ succeeded, errors }) => succeeded + errors === calls,
  );
}

const presence = async (tag: Tag) => (await collect(tag.results())).map((result) => (result === null ? 0 : 1));

/** The stream sequence up to which a tag's archive has been filled. */
function positionOf(tag: Tag): number {
  using archive = Archive.open(tag.path, { readonly: true });
  return archive.readPosition;
}

describe("a pull", () => {
  test("fetches what is there and says how much is open", async () => {
    const { tag, open } = await waiting(5);
    using _ = tag;
    expect(await tag.pull()).toBe(5);
    expect(await presence(tag)).toEqual([0, 0, 0, 0, 0]);
    open(1, 3);
    await ended(tag, 2);
    expect(tag.nResults).toBe(0);
    expect(await tag.pull()).toBe(3);
    expect(await presence(tag)).toEqual([0, 1, 0, 1, 0]);
    expect([tag.nResults, tag.nErrors]).toEqual([2, 0]);
    open(0, 2, 4);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await presence(tag)).toEqual([1, 1, 1, 1, 1]);
    expect(await tag.pull()).toBe(0);
  });

  test("reads only what is new", async () => {
    const size = 100_000;
    const { tag, open } = await waiting(8, size);
    using _ = tag;
    await withSession(undefined, async ({ nc }) => {
      const received = async (action: () => Promise<unknown>) => {
        const before = nc.stats().inBytes;
        await action();
        return nc.stats().inBytes - before;
      };
      open(0, 1, 2, 3, 4, 5);
      await ended(tag, 6);
      expect(await received(() => tag.pull())).toBeGreaterThan(6 * size);
      const before = positionOf(tag);
      expect(await received(() => tag.pull())).toBeLessThan(size / 2);
      expect(positionOf(tag)).toBe(before);
      open(6, 7);
      await ended(tag, 8);
      const bytes = await received(() => tag.pull());
      expect(bytes).toBeGreaterThan(2 * size);
      expect(bytes).toBeLessThan(3 * size);
      expect(positionOf(tag)).toBeGreaterThan(before);
    });
    expect(await presence(tag)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  test("of a subset fetches nothing else, and waits for nothing else", async () => {
    const { tag, open } = await waiting(6);
    using _ = tag;
    open(0, 1, 2, 3);
    await ended(tag, 4);
    expect(await tag.pull({ subset: [1, 5] })).toBe(1);
    expect(await presence(tag)).toEqual([0, 1, 0, 0, 0, 0]);
    expect(await tag.pull({ subset: new Set([2]), blocking: true })).toBe(0);
    const pulling = tag.pull({ subset: [3, 5], blocking: true });
    open(5);
    expect(await pulling).toBe(0);
    expect(await presence(tag)).toEqual([0, 1, 1, 1, 0, 1]);
    // What was passed over is still new to a whole pull.
    expect(await tag.pull()).toBe(1);
    expect(await presence(tag)).toEqual([1, 1, 1, 1, 0, 1]);
    open(4);
    expect(await tag.pull({ subset: [], blocking: true })).toBe(0);
    expect(await tag.pull({ blocking: true })).toBe(0);
  });

  test.each([1, 3, 1000])("in batches of %d gives the same", async (batchSize) => {
    const double = task((x: number) => 2 * x);
    for (let i = 0; i < 20; i++) double(i);
    using tag = await double.submit();
    expect(await tag.pull({ blocking: true, batchSize })).toBe(0);
    expect(await collect(tag.results())).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i));
  });

  test("ends when its signal says so, and says what is open", async () => {
    const { tag, open } = await waiting(3);
    using _ = tag;
    open(0);
    await ended(tag, 1);
    expect(await tag.pull({ blocking: true, signal: AbortSignal.abort() })).toBe(3);
    const stop = new AbortController();
    const pulling = tag.pull({ blocking: true, signal: stop.signal });
    await until(
      "the first result",
      () => tag.nResults,
      (results) => results === 1,
    );
    stop.abort();
    expect(await pulling).toBe(2);
    const subset = tag.pull({ blocking: true, subset: [1], signal: AbortSignal.timeout(50) });
    expect(await subset).toBe(1);
    open(1, 2);
    expect(await tag.pull({ blocking: true })).toBe(0);
  });

  test("of a tag that is not there any more says so", async () => {
    const gone = task(() => 1);
    gone();
    using tag = await gone.submit();
    await withSession(undefined, async ({ nc, identity }) => {
      const u = shortUser(identity.user);
      await nc.request(
        `$JS.API.STREAM.PURGE.${streamOf.tags(u)}`,
        JSON.stringify({ filter: subjectOf.manifest(u, tag.name) }),
      );
    });
    await expect(tag.pull()).rejects.toMatchObject({
      name: "InstanceError",
      message: `the broker of "local" has no tag ${tag.name} of yours: it was deleted, has expired, is somebody else's, or belongs to another instance`,
    });
  });

  test.each<[object, string]>([
    [
      { blockin: true },
      'unknown pull option "blockin": did you mean "blocking"? Known: blocking, batchSize, subset, signal, quiet.',
    ],
    [{ batchSize: 0 }, "pull option batchSize: expected a whole number above 0, got 0"],
    [{ subset: [2] }, "pull option subset: the tag has calls 0 to 1, got 2"],
    [{ subset: [0.5] }, "pull option subset: the tag has calls 0 to 1, got 0.5"],
  ])("with %j is refused", async (options, message) => {
    const one = task(() => 1);
    one();
    one();
    using tag = await one.submit();
    await expect(tag.pull(options)).rejects.toMatchObject({ name: "UsageError", message });
  });
});

describe("results() and errors()", () => {
  test("are in call order, whatever order the calls ended in", async () => {
    const { tag, open } = await waiting(6);
    using _ = tag;
    for (const [done, index] of [5, 2, 0].entries()) {
      open(index);
      await ended(tag, done + 1);
    }
    await tag.pull();
    expect((await collect(tag.results())).map((result) => result?.slice(-1) ?? null)).toEqual([
      "0",
      null,
      "2",
      null,
      null,
      "5",
    ]);
    open(1, 3, 4);
    await tag.pull({ blocking: true });
    expect((await collect(tag.results())).map((result) => result?.slice(-1))).toEqual(["0", "1", "2", "3", "4", "5"]);
  });

  test("tell a result that is null from none by the counts, and errors by their index", async () => {
    const work = task((x: number) => {
      if (x % 2 === 1) throw new Error(`odd: ${x}`);
      return x === 0 ? null : undefined;
    });
    for (let i = 0; i < 4; i++) work(i);
    using tag = await work.submit();
    await tag.pull({ blocking: true });
    expect(await collect(tag.results())).toEqual([null, null, undefined, null]);
    expect([tag.nResults, tag.nErrors]).toEqual([2, 2]);
    const errors = await collect(tag.errors());
    expect(errors.map(({ index, state, error }) => [index, state, error.message])).toEqual([
      [1, "failed", "odd: 1"],
      [3, "failed", "odd: 3"],
    ]);
    await expect(tag.result(3)).rejects.toThrow("odd: 3");
    expect(await tag.result(2)).toBeUndefined();
  });
});

describe("forged outcomes", () => {
  test("are passed over: nonsense, other calls' outcomes, altered ones", async () => {
    const { tag, open } = await waiting(4);
    using _ = tag;
    open(0);
    await ended(tag, 1);
    await withSession(undefined, async ({ nc, identity }) => {
      const u = shortUser(identity.user);
      const reader = await StreamReader.open(nc);
      const slot = (kind: "result" | "error", index: number) =>
        subjectOf.outcome(u, kind, "elsewhere", tag.name, index);
      const real = (await reader.next(streamOf.results(u), subjectOf.outcome(u, "result", "*", tag.name, 0)))!.data;
      const altered = Uint8Array.from(real);
      altered[altered.length - 1]! ^= 1;
      for (const [subject, data] of [
        [slot("result", 1), Buffer.from("nonsense")],
        [slot("error", 1), real],
        [slot("result", 2), real],
        [slot("error", 3), altered],
        [slot("result", 0), altered],
        [slot("result", 77), real],
        [`${slot("result", 3)}x`, real],
      ] as const) {
        await publish(nc, { subject, data });
      }
    });
    expect(await tag.pull()).toBe(3);
    expect(await tag.pull({ subset: [0, 1, 2, 3] })).toBe(3);
    expect(await presence(tag)).toEqual([1, 0, 0, 0]);
    open(1, 2, 3);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect((await collect(tag.results())).map((result) => result?.slice(-1))).toEqual(["0", "1", "2", "3"]);
    expect(tag.nErrors).toBe(0);
  });
});

describe("Tag.fromQueue", () => {
  test("finds a tag by name, beginning and as the last one, and pulls all of it", async () => {
    const half = task((x: number) => x / 2);
    const submit = async (tag: string) => {
      for (let i = 0; i < 3; i++) half(i);
      using submitted = await half.submit({ tag, chunkSize: 2 });
      return submitted.name;
    };
    const names = [await submit("alpha-one"), await submit("alpha-two")];
    for (const given of [names[0]!, "alpha-o", names[0]!.slice(0, -5)]) {
      using tag = await Tag.fromQueue<number>(given);
      expect([tag.name, tag.length]).toEqual([names[0], 3]);
    }
    using last = await Tag.fromQueue<number>("last");
    expect(last.name).toBe(names[1]);
    expect(await last.pull({ blocking: true })).toBe(0);
    expect(await collect(last.results())).toEqual([0, 0.5, 1]);
    expect(await last.result(1)).toBe(0.5);
    await expect(Tag.fromQueue("alpha")).rejects.toMatchObject({
      name: "UsageError",
      message: `"alpha" is the beginning of 2 tags: ${names.join(", ")}. Give more of the name.`,
    });
    await expect(Tag.fromQueue("omega")).rejects.toMatchObject({
      name: "InstanceError",
      message: 'no tag of yours on "local" begins with "omega"',
    });
    await expect(Tag.fromQueue("last", { instance: "nowhere" })).rejects.toThrow('there is no instance "nowhere"');
  });
});

describe("toFile", () => {
  test("writes a copy, or goes on there", async () => {
    const { tag, open } = await waiting(3);
    const [copy, linked] = [join(folder.path, "copy.db"), join(folder.path, "linked.db")];
    const temporary = tag.path;
    open(0);
    await ended(tag, 1);
    await tag.pull();
    tag.toFile(copy);
    expect(tag.path).toBe(temporary);
    tag.toFile(linked, { stayLinked: true });
    expect(tag.path).toBe(linked);
    expect(existsSync(temporary)).toBe(false);
    open(1);
    await ended(tag, 2);
    expect(await tag.pull()).toBe(1);
    tag.close();
    using fromCopy = Tag.fromFile<string>(copy);
    expect([fromCopy.name, fromCopy.length, fromCopy.nResults]).toEqual([tag.name, 3, 1]);
    using fromLinked = Tag.fromFile<string>(linked);
    expect([fromLinked.name, fromLinked.length, fromLinked.nResults]).toEqual([tag.name, 3, 2]);
    open(2);
    // Both go on where they are.
    expect(await fromLinked.pull({ blocking: true })).toBe(0);
    expect(await fromCopy.pull({ blocking: true })).toBe(0);
    expect(await collect(fromCopy.results())).toEqual(await collect(fromLinked.results()));
  });

  test("replaces a file only when it is told to", async () => {
    const one = task(() => 1);
    one();
    using tag = await one.submit();
    await tag.pull({ blocking: true });
    const path = join(folder.path, "there.db");
    writeFileSync(path, "something of mine");
    const message = `${path} exists; choose another name, or set overwrite to replace it`;
    for (const options of [{}, { stayLinked: true }]) {
      expect(() => tag.toFile(path, options)).toThrow(expect.objectContaining({ name: "ArchiveError", message }));
      expect(readFileSync(path, "utf8")).toBe("something of mine");
    }
    expect(() => tag.toFile(path, { overwirte: true } as object)).toThrow(
      'unknown toFile option "overwirte": did you mean "overwrite"? Known: stayLinked, overwrite.',
    );
    expect(await tag.result(0)).toBe(1);
    tag.toFile(path, { overwrite: true, stayLinked: true });
    expect(tag.path).toBe(path);
    expect(await collect(tag.results())).toEqual([1]);
  });
});

describe("Tag.fromFile", () => {
  const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

  test("of what is no archive, or a newer one, says so and leaves it as it is", async () => {
    const [text, foreign, newer] = ["text.db", "foreign.db", "newer.db"].map((name) => join(folder.path, name));
    writeFileSync(text!, "dear diary");
    const other = new DatabaseSync(foreign!);
    other.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    other.close();
    const one = task(() => 1);
    one();
    using tag = await one.submit();
    tag.toFile(newer!);
    const later = new DatabaseSync(newer!);
    const version = later.prepare("PRAGMA user_version").get()!.user_version as number;
    later.exec(`PRAGMA user_version = ${version + 1}`);
    later.close();
    const before = readdirSync(folder.path);
    for (const [path, message] of [
      [join(folder.path, "missing.db"), `there is no file ${join(folder.path, "missing.db")}`],
      [folder.path, `${folder.path} is a folder, not a humq archive`],
      [text!, `${text} is not a humq archive: it is no SQLite file; name one that toFile() or humq pull wrote`],
      [foreign!, `${foreign} is not a humq archive, but another program's SQLite file; nothing was changed in it`],
      [
        newer!,
        `${newer} was written by a newer humq: its schema has version ${version + 1}, this one reads up to ${version}; update humq`,
      ],
    ] as const) {
      const content = path.endsWith(".db") && existsSync(path) ? digest(path) : undefined;
      expect(() => Tag.fromFile(path)).toThrow(expect.objectContaining({ name: "ArchiveError", message }));
      if (content !== undefined) expect(digest(path)).toBe(content);
    }
    expect(readdirSync(folder.path)).toEqual(before);
  });
});

const PULLING = `
import { task } from "humq";
const [url, prefix, file] = process.argv.slice(2);
const work = task(async (url, key) => { await (await fetch(url + "/" + key)).text(); return key; });
for (let i = 0; i < 6; i++) work(url, prefix + i);
const tag = await work.submit();
tag.toFile(file, { stayLinked: true });
console.log("pulling");
await tag.pull({ blocking: true });
`;

describe("a script that is ended while it pulls", () => {
  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("%s: its archive is whole, and goes on", async (signal) => {
    using project = temporaryProject({ "work.mjs": PULLING });
    const file = join(project.path, "run.db");
    const prefix = `${signal}-`;
    gate.open(`${prefix}0`, `${prefix}2`, `${prefix}4`);
    const script = new Running(process.execPath, ["work.mjs", gate.url, prefix, file], {
      cwd: project.path,
      env: instance.env,
    });
    await script.until(/pulling/);
    const results = () => {
      using seen = Archive.open(file, { readonly: true });
      return seen.counts().results;
    };
    await until("three results in the archive", results, (count) => count === 3);
    expect(await script.stop(signal)).toMatchObject({ code: null, signal, stderr: "" });
    const database = new DatabaseSync(file, { readOnly: true });
    expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    database.close();
    using tag = Tag.fromFile<string>(file);
    expect([tag.length, tag.nResults]).toEqual([6, 3]);
    gate.open(`${prefix}1`, `${prefix}3`, `${prefix}5`);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([0, 1, 2, 3, 4, 5].map((i) => prefix + i));
  });
});
