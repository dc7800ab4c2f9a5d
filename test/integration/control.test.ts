/** Pausing, cancelling and deleting tags, with workers in processes of their own. */
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { readOwnControl } from "../../core/control/state.ts";
import { Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { openTag } from "../../core/tag/access.ts";
import { signDeletion } from "../../core/trust/control.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

function startWorker(...args: string[]): Promise<WorkerProcess> {
  return WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2", ...args]);
}

async function errorsOf(tag: Tag): Promise<[number, string, string][]> {
  return (await collect(tag.errors())).map(({ index, state, error }) => [index, state, error.message]);
}

/** Messages on the broker whose subject names the tag, by stream. */
function storedOf(name: string): Promise<Record<string, number>> {
  return withSession("local", async ({ nc, identity }) => {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const u = shortUser(identity.user);
    const counts: Record<string, number> = {};
    for (const stream of Object.values(streamOf)) {
      const { state } = await manager.streams.info(stream(u), { subjects_filter: ">" });
      const own = Object.entries(state.subjects ?? {}).filter(([subject]) => subject.split(".").includes(name));
      if (own.length > 0) counts[stream(u)] = own.reduce((sum, [, count]) => sum + count, 0);
    }
    return counts;
  });
}

const double = (x: number): number => x * 2;
const forever = (): void => {
  for (;;);
};

test("a paused tag does not run, nor does it hold up another; resumed it goes on", async () => {
  const work = task(double);
  for (let x = 0; x < 4; x++) work(x);
  using paused = await work.submit();
  await paused.pause();
  await paused.pause();
  await using _worker = await startWorker();
  for (let x = 0; x < 4; x++) work(x);
  using other = await work.submit();
  await other.pull({ blocking: true });
  expect(await paused.pull()).toBe(4);
  await paused.resume();
  expect(await paused.pull({ blocking: true })).toBe(0);
  expect(await collect(paused.results())).toEqual([0, 2, 4, 6]);
});

test("pause lets running calls finish", async () => {
  const work = task(async (x: number) => {
    console.log("begun");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return x;
  });
  for (let x = 0; x < 6; x++) work(x);
  await using _worker = await startWorker();
  using tag = await work.submit();
  await until(
    "two calls to run",
    async () => (await tag.log(0)).length + (await tag.log(1)).length,
    (seen) => seen === 2,
  );
  await tag.pause();
  await until(
    "them to end",
    () => tag.pull(),
    (open) => open <= 4,
  );
  expect((await tag.status()).pending).toBeGreaterThan(0);
  await tag.resume();
  expect(await tag.pull({ blocking: true })).toBe(0);
});

test("cancel ends running and queued calls; what has ended stays", async () => {
  const work = task((x: number): number => {
    if (x > 0) for (;;);
    return x;
  });
  for (let x = 0; x < 9; x++) work(x);
  await using _worker = await startWorker();
  using tag = await work.submit();
  await until(
    "the first result",
    () => tag.pull(),
    (open) => open === 8,
  );
  expect(await tag.cancel({ calls: "0,1-2", reason: "wrong input" })).toBe(2);
  expect(await tag.cancel()).toBe(6);
  expect(await tag.pull()).toBe(0);
  expect((await collect(tag.results()))[0]).toBe(0);
  expect(await errorsOf(tag)).toEqual([
    [1, "cancelled", "cancelled by its submitter: wrong input"],
    [2, "cancelled", "cancelled by its submitter: wrong input"],
    ...[3, 4, 5, 6, 7, 8].map((index) => [index, "cancelled", "cancelled by its submitter"]),
  ]);
  // The slots are free for others.
  const next = task(double);
  const call = next(21);
  using _next = await next.submit();
  expect(await call.result()).toBe(42);
});

test("a cancel is kept: a worker that comes later runs nothing of it", async () => {
  const work = task(forever);
  for (let x = 0; x < 3; x++) work();
  using tag = await work.submit();
  await tag.cancel({ calls: [0, 2], reason: "not now" });
  expect(await tag.pull()).toBe(1);
  await using worker = await startWorker();
  await tag.cancel({ reason: "not at all" });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect((await errorsOf(tag)).map(([, , message]) => message.slice(28))).toEqual(["not now", "not at all", "not now"]);
  await worker.says(/nothing left to run/);
  expect(await tag.log(1)).toEqual([]);
});

test("calls of a chunk are cancelled one by one", async () => {
  const work = task(double);
  for (let x = 0; x < 10; x++) work(x);
  using tag = await work.submit({ chunkSize: 4 });
  expect(await tag.cancel({ calls: "1,4-7" })).toBe(5);
  await using _worker = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, null, 4, 6, null, null, null, null, 16, 18]);
});

test("delete leaves nothing of the tag, and everything of others", async () => {
  const work = task((x: number, big: Uint8Array): Uint8Array | number => {
    console.log("printed");
    if (x === 2) throw new Error("no");
    return x === 1 ? big : x;
  });
  const big = new Uint8Array(700_000).fill(7);
  for (let x = 0; x < 3; x++) work(x, big);
  await using worker = await startWorker();
  using tag = await work.submit();
  for (let x = 0; x < 3; x++) work(x, big);
  using other = await work.submit();
  await other.pull({ blocking: true });
  await until(
    "its end",
    () => tag.status(),
    (seen) => seen.succeeded + seen.errors === 3,
  );
  await expect(tag.delete()).rejects.toThrow(
    `${tag.name}: 3 outcomes on the broker were not pulled and would be lost. Pull first, or delete with force.`,
  );
  await tag.pull();
  const kept = await storedOf(other.name);
  expect(Object.keys(kept).length).toBeGreaterThan(4);
  await tag.delete();
  expect(await storedOf(tag.name)).toEqual({});
  expect(await storedOf(other.name)).toEqual(kept);
  expect((await collect(tag.results()))[0]).toBe(0);
  await expect(tag.pull()).rejects.toThrow(/has no tag/);
  expect(worker.said).not.toMatch(/at .*\.js:\d+/);
});

test("delete ends what runs, and nothing of it comes later", async () => {
  const work = task(forever);
  for (let x = 0; x < 8; x++) work();
  await using _worker = await startWorker();
  using tag = await work.submit();
  await until(
    "calls to run",
    () => tag.status(),
    (seen) => seen.running >= 2,
  );
  await tag.delete();
  const next = task(double);
  const call = next(4);
  using _next = await next.submit();
  expect(await call.result()).toBe(8);
  expect(await storedOf(tag.name)).toEqual({});
});

test("a cancel does not take back that a tag is being deleted", async () => {
  const work = task(double);
  for (let x = 0; x < 4; x++) work(x);
  using tag = await work.submit();
  await tag.cancel({ calls: [1] });
  const isBeingDeleted = () =>
    withSession("local", async (session) => (await readOwnControl(await openTag(session, tag.name))).deleted);
  await withSession("local", async ({ nc, identity, link }) => {
    const owner = { rootKey: link.rootKey, user: identity.user, tag: tag.name };
    const data = signDeletion(owner, identity.signer);
    await publish(nc, { subject: subjectOf.cancel(shortUser(identity.user), tag.name), data });
  });
  await expect(tag.cancel()).rejects.toThrow(`${tag.name} is being deleted, or its delete was cut off`);
  expect(await isBeingDeleted()).toBe(true);
  await tag.delete({ force: true });
  expect(await storedOf(tag.name)).toEqual({});
});

test("scattered calls are noted once, however often they are cancelled; too many are told what helps", async () => {
  const work = task(double);
  for (let x = 0; x < 81_000; x++) work(x);
  using tag = await work.submit({ chunkSize: 1000, quiet: true });
  const scattered = (count: number) => Array.from({ length: count }, (_, i) => 2 * i);
  expect(await tag.cancel({ calls: scattered(20_500) })).toBe(20_500);
  expect(await tag.cancel({ calls: scattered(20_500) })).toBe(0);
  await expect(tag.delete({ calls: scattered(40_500), force: true })).rejects.toThrow(
    `${tag.name}: the calls that are cancelled or deleted so far, with these, lie in 40500 separate ranges; ` +
      "at most 40000 can be noted of a tag. Name calls that lie together (0-9999), or cancel or delete the tag as a whole.",
  );
  await tag.delete({ force: true });
});

test("only what was downloaded is deleted", async () => {
  const work = task(double);
  for (let x = 0; x < 6; x++) work(x);
  await using _worker = await startWorker();
  using tag = await work.submit();
  await until(
    "its end",
    () => tag.status(),
    (seen) => seen.succeeded === 6,
  );
  await tag.pull({ subset: [1, 4] });
  await tag.delete({ downloadedOnly: true });
  // How calls ended goes on being counted; who starts afresh finds notes in the place of two results.
  expect((await tag.status()).succeeded).toBe(6);
  using afresh = await Tag.fromQueue<number>(tag.name);
  expect(await afresh.pull()).toBe(0);
  expect(await collect(afresh.results())).toEqual([0, null, 4, 6, null, 10]);
  expect(await tag.pull()).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 2, 4, 6, 8, 10]);
});
