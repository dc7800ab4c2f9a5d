/** Chunks whose results go in one message, and those that go call by call: each call has its own outcome either way. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseOutcome, shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { purgeManager } from "../../core/broker/purge.ts";
import { type Stored, StreamReader } from "../../core/broker/read.ts";
import { type SubmitOptions, Tag, task } from "../../core/index.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { listTags } from "../../core/tag/list.ts";
import { ChunkPlaces } from "../../worker/chunk-place.ts";
import { Cuts } from "../../worker/cuts.ts";
import { OutcomeWriter } from "../../worker/outcomes.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let session: Session;
let nc: NatsConnection;
let reader: StreamReader;
let u: string;
/** Which calls ran, as they say themselves; what first asks to be held is never answered. */
const runs: string[] = [];
const outside = createServer((request, response) => {
  const run = request.url!.slice(1);
  const isFirst = !runs.includes(run);
  runs.push(run);
  if (run.startsWith("hold/") && isFirst) return;
  response.end();
});
let url: string;

beforeAll(async () => {
  instance = await startInstance({ worker: false });
  session = await openSession(instance.embedded.instance);
  nc = session.nc;
  u = shortUser(session.identity.user);
  reader = await StreamReader.open(nc);
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await nc?.close();
  await instance?.stop();
  outside.closeAllConnections();
  outside.close();
});

const startWorker = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

/** What the broker holds of a tag's outcomes, notes about chunks included. */
async function stored(tag: Tag): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const one of reader.all(streamOf.results(u), subjectOf.outcome(u, "*", "*", tag.name, "*")))
    found.push(one);
  return found;
}
const placesOf = async (tag: Tag) =>
  (await stored(tag)).map(({ subject }) => `${subject.split(".")[2]} ${subject.split(".").at(-1)}`).sort();

const double = (x: number, failing: number[] = []) => {
  console.log(`call ${x}`);
  if (failing.includes(x)) throw new Error(`call ${x} failed`);
  return { x: 2 * x };
};

async function submitted(calls: number, options: SubmitOptions, failing: number[] = []): Promise<Tag<{ x: number }>> {
  const work = task(double);
  for (let i = 0; i < calls; i++) work(i, failing);
  return work.submit(options);
}

describe("a chunk that succeeds", () => {
  test("is one message, and each call has its own result, bookkeeping and log", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(21, { chunkSize: 10 });
    expect(await tag.wait()).toEqual({ ended: 21, succeeded: 21, errors: 0 });
    // The last is a chunk of one call.
    expect(await placesOf(tag)).toEqual(["pack 0-9", "pack 10-19", "result 20"]);
    expect(await tag.status()).toMatchObject({ calls: 21, succeeded: 21, errors: 0, ended: { local: 21 } });
    using other = await Tag.fromQueue<{ x: number }>(tag.name);
    // Of the whole chunk only what was asked for is filed.
    expect(await other.pull({ subset: [3, 4] })).toBe(0);
    expect(other.nResults).toBe(2);
    expect(await other.result(13)).toEqual({ x: 26 });
    expect(await other.pull({ batchSize: 7 })).toBe(0);
    expect(await collect(other.results())).toEqual(upTo(21).map((x) => ({ x: 2 * x })));
    const { worker, attempts, durationMs, startedMs } = (await collect(other.outcomes()))[13]!;
    expect({ worker, attempts }).toEqual({ worker: _worker.name, attempts: 1 });
    expect(durationMs).toBeGreaterThan(0);
    expect(Math.abs(startedMs! - Date.now())).toBeLessThan(600_000);
    expect((await tag.log(13)).map(({ text }) => text).join("")).toBe("call 13\n");
    expect((await tag.explain()).reasons[0]!.code).toBe("finished");
  });

  test("loses what is deleted of it, and nothing else; that may be retried", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(20, { chunkSize: 10 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await tag.delete({ calls: "0-9,12-13", downloadedOnly: true })).toBe(12);
    // A pack of which something is left is taken apart, so every call counts once.
    const apart = upTo(10).map((index) => `result ${10 + index}`);
    expect(await placesOf(tag)).toEqual(["pack 0-9", ...apart, "run 10-19"]);
    expect(await tag.status()).toMatchObject({ succeeded: 20, errors: 0 });
    using other = await Tag.fromQueue<{ x: number }>(tag.name);
    expect(await other.pull()).toBe(0);
    const gone = [...upTo(10), 12, 13].map((index) => [index, "cancelled"]);
    expect((await collect(other.errors())).map(({ index, state }) => [index, state])).toEqual(gone);
    expect(await other.retry({ calls: [3, 12] })).toBe(2);
    expect(await other.pull({ blocking: true })).toBe(0);
    expect([await other.result(3), await other.result(12)]).toEqual([{ x: 6 }, { x: 24 }]);
    expect(await placesOf(tag)).toEqual([
      ...upTo(20)
        .map((index) => `result ${index}`)
        .sort(),
      "run 0-9",
      "run 10-19",
    ]);
    expect(await other.status()).toMatchObject({ succeeded: 20, errors: 0 });
    using third = await Tag.fromQueue<{ x: number }>(tag.name);
    expect(await third.pull()).toBe(0);
    expect(third.nResults).toBe(10);
    expect(await third.delete({ force: true })).toBe(20);
    expect(await stored(tag)).toEqual([]);
  });
});

describe("a chunk that does not succeed whole", () => {
  test("has a message a call; what failed of it is retried by itself", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(30, { chunkSize: 10 }, [14]);
    expect(await tag.pull({ blocking: true })).toBe(0);
    const singles = [10, 11, 12, 13, 15, 16, 17, 18, 19].map((index) => `result ${index}`);
    expect(await placesOf(tag)).toEqual(["error 14", "pack 0-9", "pack 20-29", ...singles, "run 10-19"]);
    const counts = { succeeded: 29, errors: 1, ended: { local: 30 } };
    expect(await tag.status()).toMatchObject({ ...counts, byState: { succeeded: 29, failed: 1 } });
    expect(await tag.wait({ until: "first-error" })).toMatchObject({ errors: 1 });
    expect(await tag.retry()).toBe(1);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await tag.status()).toMatchObject(counts);
  });

  test("because a call took its executor down: that one fails, the others end", async () => {
    await using _worker = await startWorker();
    const work = task((x: number) => {
      if (x === 6) process.exit(3);
      return x;
    });
    for (let i = 0; i < 20; i++) work(i);
    using tag = await work.submit({ chunkSize: 10 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect((await collect(tag.errors())).map(({ index, state }) => [index, state])).toEqual([[6, "failed"]]);
    expect(await collect(tag.results())).toEqual(upTo(20).map((x) => (x === 6 ? null : x)));
    expect(await placesOf(tag)).toContain("pack 10-19");
    expect(await tag.status()).toMatchObject({ succeeded: 19, errors: 1 });
  });

  test("because its worker vanished: what has a result does not run again", { timeout: 120_000 }, async () => {
    runs.length = 0;
    const work = task(async (where: string, x: number) => {
      await fetch(`${where}/ran/${x}`);
      if (x === 5) await fetch(`${where}/hold/${x}`);
      return x;
    });
    for (let i = 0; i < 8; i++) work(url, i);
    using tag = await work.submit({ chunkSize: 8 });
    const worker = await startWorker();
    // What has ended does not wait for what runs on.
    expect(await tag.wait({ until: 5 })).toEqual({ ended: 5, succeeded: 5, errors: 0 });
    await worker.stop("SIGKILL");
    await using _second = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    const ran = runs.filter((run) => run.startsWith("ran/")).map((run) => Number(run.slice(4)));
    expect(ran.filter((index) => index < 5)).toEqual(upTo(5));
    expect(await collect(tag.results())).toEqual(upTo(8));
  });

  test("or is cancelled before: nothing packs it any more", async () => {
    using tag = await submitted(20, { chunkSize: 10 });
    expect(await tag.cancel({ calls: "0-14" })).toBe(15);
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect([tag.nResults, tag.nErrors]).toEqual([5, 15]);
    expect(await tag.status()).toMatchObject({ succeeded: 5, errors: 15 });
  });
});

test("chunkSize auto goes by how long the first calls take where they run, and leaves no other tag", async () => {
  await using _worker = await startWorker();
  const before = (await listTags(session)).map(({ tag: name }) => name);
  using tag = await submitted(640, { chunkSize: "auto" });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(upTo(640).map((x) => ({ x: 2 * x })));
  // So many that there are 64 messages.
  expect(await placesOf(tag)).toContain("pack 630-639");
  expect((await listTags(session)).map(({ tag: name }) => name)).toEqual([...before, tag.name]);
  // Nobody is kept waiting who has a few calls.
  using few = await submitted(20, { chunkSize: "auto" });
  expect(await few.pull({ blocking: true })).toBe(0);
  expect(await placesOf(few)).toEqual(
    upTo(20)
      .map((index) => `result ${index}`)
      .sort(),
  );
});

test("two workers, one with a pack and one with single results: a chunk is stored one way only", async () => {
  const chunks = 60;
  const manifest = { createdMs: Date.now(), notAfterMs: Date.now() + 60_000 };
  const runnable = { u, tag: "race_0", manifest };
  const worker = () => {
    const cuts = new Cuts();
    const log = { info: () => undefined, warn: () => undefined };
    const writer = new OutcomeWriter(nc, u, "local", log, cuts);
    return { places: new ChunkPlaces({ nc, reader, datacenter: "local", cuts }), writer };
  };
  const [packs, singles] = [worker(), worker()];
  const outcomes = await Promise.all(
    upTo(chunks).map(async (chunk) => {
      const job = { first: chunk * 4, count: 4, tag: { runnable } };
      const asPack = () => packs.places.pack(job, Buffer.from("pack"), packs.writer);
      const asSingles = () => singles.places.standApart(job, singles.writer);
      const [packed, apart] =
        chunk % 2 === 0
          ? await Promise.all([asPack(), asSingles()])
          : await Promise.all([asSingles(), asPack()]).then(([one, other]) => [other, one]);
      return { packed, apart };
    }),
  );
  for (const [chunk, { packed, apart }] of outcomes.entries()) {
    const slot = subjectOf.chunkSlot(u, "local", "race_0", { first: chunk * 4, count: 4 });
    const there: string[] = [];
    for await (const { subject } of reader.all(streamOf.results(u), slot)) there.push(parseOutcome(subject).kind);
    expect(there).toEqual([packed ? "pack" : "run"]);
    expect(apart).toBe(!packed);
    const job = { first: chunk * 4, count: 4, tag: { runnable } };
    // Who comes later learns which.
    expect((await packs.places.ended(job, upTo(4))).size).toBe(packed ? 4 : 0);
  }
});

describe("packs that are not what a worker stored", () => {
  const put = async (subject: string, data: Uint8Array) => {
    await (await purgeManager(nc)).streams.purge(streamOf.results(u), { filter: subject });
    await publish(nc, { subject, data });
  };

  test.each<[string, (packs: Stored[]) => Promise<unknown>]>([
    ["altered", ([first]) => put(first!.subject, first!.data.with(first!.data.length - 40, 0))],
    [
      "swapped between chunks",
      ([first, second]) => Promise.all([put(first!.subject, second!.data), put(second!.subject, first!.data)]),
    ],
    ["one for another chunk as well", ([first, second]) => put(second!.subject, first!.data)],
    ["nothing", ([first]) => put(first!.subject, new Uint8Array())],
  ])("%s: the chunk runs again, and every result is right", async (_, tamper) => {
    await using _worker = await startWorker();
    using tag = await submitted(30, { chunkSize: 10 });
    await tag.wait();
    await tamper(await stored(tag));
    using other = await Tag.fromQueue<{ x: number }>(tag.name);
    expect(await other.pull({ blocking: true })).toBe(0);
    expect(await collect(other.results())).toEqual(upTo(30).map((x) => ({ x: 2 * x })));
    expect(await other.status()).toMatchObject({ succeeded: 30, errors: 0 });
  });

  test("of other counts than its chunk's: passed over", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(20, { chunkSize: 10 });
    await tag.wait();
    const [first] = await stored(tag);
    for (const chunk of [
      { first: 0, count: 9 },
      { first: 0, count: 11 },
      { first: 15, count: 10 },
    ])
      await put(subjectOf.pack(u, "local", tag.name, chunk), first!.data);
    using other = await Tag.fromQueue<{ x: number }>(tag.name);
    expect(await other.pull({ blocking: true })).toBe(0);
    expect(await collect(other.results())).toEqual(upTo(20).map((x) => ({ x: 2 * x })));
  });
});
