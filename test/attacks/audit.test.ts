/** What a worker runs, and what it refuses, can be traced to a person afterwards. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditFolder } from "../../core/audit/format.ts";
import { countOf, parseRanges } from "../../core/audit/ranges.ts";
import { AuditReader, type WorkerRecord } from "../../core/audit/read.ts";
import { accountLabel } from "../../core/broker/accounts.ts";
import { HUB_STREAMS, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { type Tag, task } from "../../core/index.ts";
import { openTag } from "../../core/tag/access.ts";
import { fetchCode } from "../../core/tag/code.ts";
import { Worker } from "../../worker/index.ts";
import { SmallDisk } from "../faults/world/disk.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { Gate } from "../support/gate.ts";
import { Lab, type Person } from "../support/lab.ts";
import { as, inHome } from "../support/people.ts";
import { runProgram } from "../support/processes.ts";
import { SHORT } from "../support/short.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let lab: Lab;
let ownerHome: string;
beforeAll(async () => {
  lab = await Lab.start();
  ownerHome = process.env.HUMQ_HOME!;
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

const startWorker = () => inHome(ownerHome, () => Worker.start({ slots: 2, unsafe: true }));
const startProcess = () =>
  WorkerProcess.start({ HUMQ_HOME: ownerHome, HUMQ_INSTANCE: "lab" }, ["--slots", "1", "--unsafe"]);

async function audit(): Promise<{ records: WorkerRecord[]; damage: unknown[] }> {
  const reader = await AuditReader.open(auditFolder(lab.instance));
  const records = await collect(reader.records());
  return { records, damage: reader.damage };
}

type Of<E extends WorkerRecord["event"]> = Extract<WorkerRecord, { event: E }>;

async function recordsOf<E extends WorkerRecord["event"]>(event: E): Promise<Of<E>[]> {
  return (await audit()).records.filter((record): record is Of<E> => record.event === event);
}

/** SHA-256 of the code that somebody submitted, as they know it themselves. */
async function codeOf(person: Person, tag: Tag): Promise<string> {
  const { reader, manifest, options } = await openTag(person.session, tag.name);
  const code = await fetchCode(reader, manifest, options.codeKey);
  return createHash("sha256").update(code).digest("hex");
}

interface Submitted {
  person: Person;
  tag: string;
  calls: number;
  code: string;
}

test("each call that ran is traceable to a person: name, key, tag, index and code", async () => {
  const people = await Promise.all((SHORT ? ["ann", "ben"] : ["ann", "ben", "cem"]).map((name) => lab.join(name)));
  const calls = SHORT ? 150 : 3_000;
  const submitted: Submitted[] = [];
  const worker = await startWorker();
  try {
    for (const person of people) {
      const { name } = person.grant;
      const plain = task(function plain(x: number) {
        return `${name} ${x}`;
      });
      const failing = task(function failing(x: number) {
        if (x % 3 === 0) throw new Error("on purpose");
        return x;
      });
      await as(person, async () => {
        for (let x = 0; x < calls; x++) plain(x);
        for (let x = 0; x < 20; x++) failing(x);
        for (const tag of [await plain.submit({ quiet: true }), await failing.submit({ quiet: true, chunkSize: 7 })]) {
          await tag.pull({ blocking: true, quiet: true });
          submitted.push({ person, tag: tag.name, calls: tag.length!, code: await codeOf(person, tag) });
          if (tag.nErrors > 0) {
            await tag.retry();
            await tag.pull({ blocking: true, quiet: true });
            const retried = async () =>
              (await recordsOf("calls"))
                .filter((record) => record.tag === tag.name && record.generation === 1)
                .reduce((sum, { count }) => sum + count, 0);
            await until("the retries' records", retried, (count) => count === 7);
          }
          tag.close();
        }
      });
    }
  } finally {
    await worker.stop();
  }
  expect(new Set(submitted.map(({ code }) => code)).size).toBe(people.length + 1);
  const { records, damage } = await audit();
  expect(damage).toEqual([]);
  for (const { person, tag, calls, code } of submitted) {
    const who = { name: person.grant.name, user: person.grant.user, tag, codeSha256: code };
    const own = records.filter((record) => "tag" in record && record.tag === tag);
    for (const record of own) expect(record).toMatchObject(who);
    expect(own[0]).toMatchObject({ event: "tag", task: tag.split("_")[0] });
    const first = own.filter((record): record is Of<"calls"> => record.event === "calls" && !record.generation);
    const ranges = first.flatMap((record) => parseRanges(record.calls)!);
    const seen = new Set(ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)));
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: calls }, (_, i) => i));
    for (const record of first) expect(countOf(parseRanges(record.calls)!)).toBe(record.count);
  }
  const { stdout } = await runProgram(
    process.execPath,
    [PROGRAM, "audit", "--user", "ben", "--since", "1h", "--json"],
    {
      env: { HUMQ_HOME: ownerHome, HUMQ_INSTANCE: "lab" },
    },
  );
  const shown = JSON.parse(stdout) as { records: WorkerRecord[]; damage: unknown[]; logs: { stopped: boolean }[] };
  expect(new Set(shown.records.map((record) => (record as Of<"calls">).tag))).toEqual(
    new Set(submitted.filter(({ person }) => person.grant.name === "ben").map(({ tag }) => tag)),
  );
  expect([shown.damage, shown.logs.map(({ stopped }) => stopped)]).toEqual([[], [true]]);
});

test("who runs what is on the disk before the first call begins, and outlives a worker that is killed", async () => {
  const dana = await lab.join("dana");
  await using gate = await Gate.start();
  const held = task(async function held(url: string) {
    await fetch(url);
  });
  await using worker = await startProcess();
  await as(dana, async () => {
    held(`${gate.url}/0`);
    using tag = await held.submit({ quiet: true });
    await until(
      "the call to begin",
      () => gate.waiting,
      (waiting) => waiting === 1,
    );
    const of = ({ records }: { records: WorkerRecord[] }) =>
      records.filter((record) => "tag" in record && record.tag === tag.name);
    expect(of(await audit())[0]).toMatchObject({ event: "tag", name: "dana", codeSha256: await codeOf(dana, tag) });
    // It still runs when it is noted which call it is.
    await until(
      "the call's record",
      async () => of(await audit()).length,
      (count) => count === 2,
    );
    expect(gate.waiting).toBe(1);
    await worker.stop("SIGKILL");
    const after = await audit();
    expect(after.damage).toEqual([]);
    expect(of(after)[1]).toMatchObject({ event: "calls", name: "dana", calls: "0", worker: worker.name });
    await tag.cancel();
  });
});

test("what is refused is in the audit log with the reason and, where they are known, person, tag and call", async () => {
  const erin = await lab.join("erin");
  const same = task(function same(n: number) {
    return n;
  });
  await as(erin, async () => {
    for (let n = 0; n < 3; n++) same(n);
    using tag = await same.submit({ quiet: true });
    same(0);
    using other = await same.submit({ quiet: true });
    const { u } = erin;
    const manager = await jetstreamManager(erin.nc, { checkAPI: false });
    const reader = await StreamReader.open(erin.nc);
    const alter = async (stream: string, subject: string) => {
      const data = Uint8Array.from((await reader.next(stream, subject))!.data);
      data[data.length - 5]! ^= 1;
      await manager.streams.purge(stream, { filter: subject });
      await publish(erin.nc, { subject, data });
    };
    await alter(streamOf.calls(u), subjectOf.call(u, tag.name, 1));
    await alter(streamOf.tags(u), subjectOf.manifest(u, other.name));
    const hub = await lab.inAccount(accountLabel.hub);
    const forged = subjectOf.grant(erin.grant.user.replace(/.$/, "A"));
    await publish(hub, { subject: forged, data: Buffer.alloc(300, 7) });
    const worker = await startWorker();
    try {
      await tag.pull({ blocking: true, quiet: true });
      const refused = await until(
        "three refusals",
        () => recordsOf("refused"),
        (records) => records.length >= 3,
      );
      const who = { name: "erin", user: erin.grant.user };
      const reason = (text: string) => ({ reason: expect.stringContaining(text) as string });
      expect(refused).toContainEqual(
        expect.objectContaining({ ...who, what: "call", tag: tag.name, calls: "1", ...reason("call 1 of") }),
      );
      expect(refused).toContainEqual(
        expect.objectContaining({ ...who, what: "tag", tag: other.name, ...reason("signature is not by erin") }),
      );
      expect(refused).toContainEqual(expect.objectContaining({ what: "grant", ...reason("signature is not by") }));
    } finally {
      await worker.stop();
      await (await jetstreamManager(hub)).streams.purge(HUB_STREAMS.grants, { filter: forged });
    }
  });
  // Nothing of what was refused is said to have run.
  const ran = (await recordsOf("calls")).filter(({ name }) => name === "erin").map(({ calls }) => calls);
  expect(ran.join()).not.toMatch(/\b1\b|-/);
});

test("a worker whose audit log cannot be written runs nothing, says so, and goes on when it can be", async ({
  skip,
}) => {
  const folder = auditFolder(lab.instance);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  using disk = SmallDisk.mount(folder, 2 ** 20);
  if (disk === undefined) return skip("this account may not mount a small disk");
  chmodSync(folder, 0o700);
  const fay = await lab.join("fay");
  const same = task(function same(n: number) {
    return n;
  });
  await using worker = await startProcess();
  disk.fill(0);
  await as(fay, async () => {
    const tags: Tag<number>[] = [];
    // More than what is left of the log's last block on the disk can take.
    for (let n = 0; n < 12; n++) {
      same(n);
      tags.push(await same.submit({ quiet: true }));
    }
    const open = async () => (await Promise.all(tags.map((tag) => tag.pull({ quiet: true })))).filter((n) => n > 0);
    await worker.says(/warning: the audit log cannot be written, so no work is taken until it can be: ENOSPC/);
    const ran = new Set((await recordsOf("tag")).map(({ tag }) => tag));
    expect((await open()).length).toBeGreaterThanOrEqual(tags.filter(({ name }) => !ran.has(name)).length);
    expect((await open()).length).toBeGreaterThan(0);
    disk.free();
    await worker.says(/the audit log can be written again/);
    for (const tag of tags) {
      expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
      tag.close();
    }
    await worker.stop();
    const { records, damage } = await audit();
    expect(damage).toEqual([]);
    const own = records.filter((record) => record.worker === worker.name);
    expect(own.filter(({ event }) => event === "trouble")).toHaveLength(1);
    expect(own.filter(({ event }) => event === "calls")).toHaveLength(tags.length);
    expect(own.at(-1)).toMatchObject({ event: "stop" });
  });
}, 90_000);

test("code in the sandbox cannot reach the audit log", async ({ skip }) => {
  const worker = await startWorker();
  try {
    if (worker.isolation !== "bubblewrap") return skip("bubblewrap does not work here");
    const gil = await lab.join("gil");
    const look = task(async function look(folder: string) {
      const { readdirSync } = await import("node:fs");
      return readdirSync(folder);
    });
    await as(gil, async () => {
      look(auditFolder(lab.instance));
      using tag = await look.submit({ quiet: true });
      await tag.pull({ blocking: true, quiet: true });
      expect(await collect(tag.errors())).toMatchObject([{ error: { message: expect.stringContaining("ENOENT") } }]);
    });
    expect(readdirSync(auditFolder(lab.instance))).toContain(`${worker.name}.head`);
  } finally {
    await worker.stop();
  }
});

test("a worker does not start where it cannot keep an audit log, or others can get at it", async () => {
  const folder = auditFolder(lab.instance);
  chmodSync(folder, 0o755);
  await expect(startWorker()).rejects.toThrow(/audit is open to others \(mode 755, expected 700\)/);
  chmodSync(folder, 0o700);
  const kept = join(dirname(folder), "kept");
  renameSync(folder, kept);
  writeFileSync(folder, "in the way");
  await expect(startWorker()).rejects.toThrow(/the audit log cannot be kept in .*A worker does not run without it/);
  rmSync(folder);
  renameSync(kept, folder);
});
