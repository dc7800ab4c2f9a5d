/** Somebody has been at the audit logs of a machine: whatever they did is seen. */
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, expect, test } from "vitest";
import { auditLine } from "../../cli/audit-line.ts";
import { type AuditEvent, formatHead, type Head, hashOfLine, logFile } from "../../core/audit/format.ts";
import { AuditReader } from "../../core/audit/read.ts";
import { parseRecord } from "../../core/audit/record.ts";
import { AuditFile } from "../../worker/audit/file.ts";
import { otherHeads } from "../../worker/audit/folder.ts";
import { Refusals } from "../../worker/audit/refusals.ts";
import { collect } from "../support/collect.ts";
import { SHORT, some } from "../support/short.ts";
import { temporaryDirectory } from "../support/tools.ts";

const RECORDS = 24;
const FIRST = "host-1-aaaaaa";
const SECOND = "host-2-bbbbbb";

function start(worker: string, after: Record<string, Head>): AuditEvent & { atMs: number } {
  const who = { datacenter: "local", user: "UWORKER", pid: 1, version: "1", isolation: "none", unsafe: true };
  return { event: "start", worker, ...who, after, atMs: 1 };
}

const calls = (n: number, name = "alice"): AuditEvent & { atMs: number } => ({
  event: "calls",
  name,
  user: "UALICE",
  tag: "work_1",
  codeSha256: "c0de",
  calls: `${n}`,
  count: 1,
  fromMs: n,
  toMs: n,
  atMs: n + 1,
});

async function write(folder: string, log: string, records: number): Promise<void> {
  const file = new AuditFile(folder, log, 2_000);
  await file.append([start(log, otherHeads(folder))]);
  for (let n = 1; n <= records; n++) await file.append([calls(n)]);
  await file.append([{ event: "stop", atMs: records + 2 }]);
  await file.close();
}

const original = temporaryDirectory("humq audit ");
await write(original.path, FIRST, RECORDS);
await write(original.path, SECOND, 3);
const work = temporaryDirectory("humq audit work ");
const path = (name: string) => join(work.path, name);
const firstFiles = readdirSync(original.path).filter((name) => name.startsWith(FIRST) && name.endsWith(".log"));

beforeEach(() => {
  rmSync(work.path, { recursive: true, force: true });
  cpSync(original.path, work.path, { recursive: true });
});

afterAll(() => {
  for (const directory of [original, work]) directory[Symbol.dispose]();
});

async function damage(): Promise<string[]> {
  const reader = await AuditReader.open(work.path);
  for (const record of await collect(reader.records())) auditLine(record);
  return reader.damage.map(({ log, what }) => `${log}: ${what}`);
}

const linesIn = (name: string) => readFileSync(path(name), "utf8").trimEnd().split("\n");
const put = (name: string, lines: readonly string[]) =>
  writeFileSync(path(name), lines.map((line) => `${line}\n`).join(""));

test("a log that nobody touched is whole, over several files", async () => {
  const reader = await AuditReader.open(work.path);
  const records = await collect(reader.records());
  expect([reader.damage, records.length, firstFiles.length > 2]).toEqual([[], RECORDS + 2 + 5, true]);
  expect(reader.logs.map(({ log, stopped }) => [log, stopped])).toEqual([
    [FIRST, true],
    [SECOND, true],
  ]);
  for (const name of readdirSync(work.path)) expect(statSync(path(name)).mode & 0o777).toBe(0o600);
});

test("a change of any byte of an audit log is seen", async () => {
  for (const name of firstFiles) {
    const bytes = readFileSync(path(name));
    for (const at of some([...bytes.keys()], 23)) {
      const altered = Uint8Array.from(bytes);
      altered[at]! ^= 1;
      writeFileSync(path(name), altered);
      expect(await damage(), `${name} byte ${at}`).not.toEqual([]);
    }
    writeFileSync(path(name), bytes);
  }
  expect(await damage()).toEqual([]);
});

test("a line that is removed, repeated, put elsewhere or added is seen, wherever it is", async () => {
  for (const name of firstFiles) {
    const lines = linesIn(name);
    for (const at of some([...lines.keys()], 3)) {
      const [before, line, after] = [lines.slice(0, at), lines[at]!, lines.slice(at + 1)];
      const forged = JSON.stringify({ seq: 9, prev: hashOfLine(line), ...calls(9, "mallory") });
      const attempts = [
        [...before, ...after],
        [...before, line, line, ...after],
        [...before, line, forged, ...after],
      ];
      if (after.length > 0) attempts.push([...before, after[0]!, line, ...after.slice(1)]);
      for (const attempt of attempts) {
        put(name, attempt);
        expect(await damage(), `${name} line ${at}`).not.toEqual([]);
      }
    }
    put(name, lines);
  }
  expect(await damage()).toEqual([]);
});

test("a log that is made anew from some record on, its head too, is at odds with what later workers found", async () => {
  const name = firstFiles.at(-1)!;
  const lines = linesIn(name);
  const kept = lines.slice(0, -2);
  const { seq } = parseRecord(Buffer.from(kept.at(-1)!))!;
  const forged = JSON.stringify({ seq: seq + 1, prev: hashOfLine(kept.at(-1)!), ...calls(9, "mallory") });
  put(name, [...kept, forged]);
  writeFileSync(path(`${FIRST}.head`), formatHead({ seq: seq + 1, hash: hashOfLine(forged) }));
  expect(await damage()).toEqual([expect.stringContaining(`the log of ${SECOND} knows record`)]);
  const last = JSON.stringify({ seq: seq + 2, prev: hashOfLine(forged), event: "stop", atMs: 99 });
  put(name, [...kept, forged, last]);
  writeFileSync(path(`${FIRST}.head`), formatHead({ seq: seq + 2, hash: hashOfLine(last) }));
  expect(await damage()).toEqual([expect.stringMatching(/is not the one that the log of \S+ knows: it was changed/)]);
});

test("records that are cut off at the end are missed, and so are files and whole logs", async () => {
  const name = firstFiles.at(-1)!;
  const bytes = readFileSync(path(name));
  for (const length of some([...bytes.keys()], 23)) {
    writeFileSync(path(name), bytes.subarray(0, length));
    expect(await damage(), `${length} bytes`).not.toEqual([]);
  }
  writeFileSync(path(name), bytes);
  for (const file of firstFiles) {
    renameSync(path(file), path("elsewhere"));
    expect(await damage(), file).not.toEqual([]);
    renameSync(path("elsewhere"), path(file));
  }
  for (const file of [...firstFiles, `${FIRST}.head`]) rmSync(path(file));
  expect(await damage()).toEqual([`${FIRST}: it is gone, and the log of ${SECOND} knows of it`]);
});

test("without its .head, with one that was changed, or under another worker's name a log is not whole", async () => {
  rmSync(path(`${SECOND}.head`));
  expect(await damage()).toEqual([`${SECOND}: its .head file is missing`]);
  writeFileSync(path(`${SECOND}.head`), "nothing", { mode: 0o600 });
  expect(await damage()).toEqual([`${SECOND}: its .head file was changed`]);
  rmSync(path(`${SECOND}.head`));
  renameSync(path(logFile(SECOND, 1)), path(logFile("host-3-cccccc", 1)));
  expect(await damage()).toEqual([
    "host-3-cccccc: its .head file is missing",
    "host-3-cccccc: host-3-cccccc.000001.log line 1: it does not begin as the log of host-3-cccccc",
  ]);
});

test.skipIf(process.platform === "win32")("a log that others may write or read is said to be so", async () => {
  chmodSync(path(firstFiles[0]!), 0o644);
  expect(await damage()).toEqual([`${FIRST}: ${firstFiles[0]} is open to others: expected mode 600`]);
});

test("what stands in a log in place of records harms nobody who reads it", async () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.anything().map((value) => JSON.stringify(value) ?? ""),
  );
  const fields = ["event", "seq", "prev", "atMs", "tag", "name", "codeSha256", "after", "worker", "fromMs"];
  const events = ["start", "tag", "calls", "refused", "revoked", "trouble", "stop", "__proto__", "toString"];
  const recordLike = fc
    .tuple(fc.dictionary(fc.constantFrom(...fields), fc.jsonValue()), fc.constantFrom(...events))
    .map(([record, event]) => JSON.stringify({ ...record, event, seq: 1, prev: "", atMs: 5 }));
  const name = firstFiles[0]!;
  const lines = linesIn(name);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(anything, recordLike), { minLength: 1, maxLength: 4 }), async (added) => {
      put(name, [...lines.slice(0, 2), ...added, ...lines.slice(2)]);
      expect(await damage()).not.toEqual([]);
    }),
    { numRuns: SHORT ? 100 : 2_000 },
  );
});

test("names make no second line in the log, and move no cursor where it is shown", async () => {
  const file = new AuditFile(work.path, "host-4-dddddd");
  await file.append([start("host-4-dddddd", {})]);
  await file.append([calls(1, "eve\n{}\u001b[2J\u2028\ud800")]);
  await file.close();
  const reader = await AuditReader.open(work.path);
  const records = await collect(reader.records());
  expect(reader.damage).toEqual([]);
  const shown = auditLine(records.find((record) => "name" in record && record.name?.startsWith("eve") === true)!);
  expect(shown).toContain("eve\\n{}\\u001b[2J");
  expect(shown).not.toMatch(/[\u0000-\u001f]/);
});

test("a flood of refusals fills no disk: like ones are counted, and of different ones a hundred are told", () => {
  const refusals = new Refusals();
  for (let n = 0; n < 10_000; n++) refusals.add({ what: "call", reason: "forged", tag: "one", call: n });
  for (let n = 0; n < 10_000; n++) refusals.add({ what: "tag", reason: `forged ${n} ${"x".repeat(10_000)}` });
  const events = refusals.take();
  expect(events.length).toBeLessThan(110);
  expect(JSON.stringify(events).length).toBeLessThan(100_000);
  expect(events[0]).toMatchObject({ calls: "0-9999", times: 10_000 });
  const times = events.map((event) => ("times" in event ? event.times : 0));
  expect(times.reduce((sum, each) => sum + each, 0)).toBe(20_000);
  for (let n = 0; n < 1_000; n++) refusals.add({ what: "tag", reason: `more ${n}` });
  expect(refusals.take().length).toBeLessThan(20);
});
