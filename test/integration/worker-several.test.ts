/** Several workers, several users, several datacenters; workers that leave in order and workers that vanish. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { grantAccess, requestAccess, type Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { temporaryProject } from "../support/script.ts";
import { temporaryDirectory } from "../support/tools.ts";
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

/** How often each call was begun, by what it printed. */
async function runsOf(tag: Tag): Promise<number[]> {
  const runs: number[] = [];
  for (let index = 0; index < tag.length; index++) {
    const text = (await tag.log(index)).map((piece) => piece.text).join("");
    runs.push(text.split("begun\n").length - 1);
  }
  return runs;
}

const numbers = (length: number) => Array.from({ length }, (_, i) => i);

const short = async (x: number): Promise<number> => {
  console.log("begun");
  await new Promise((resolve) => setTimeout(resolve, 40));
  return x;
};

/** Goes on for a minute if it begins before that time; at once otherwise. */
const longBefore = async (time: number): Promise<string> => {
  console.log("begun");
  if (Date.now() < time) await new Promise((resolve) => setTimeout(resolve, 60_000));
  return "ended";
};

test("a worker finds what was submitted before it was there", async () => {
  const work = task(short);
  for (const x of numbers(3)) work(x);
  using tag = await work.submit();
  expect(await tag.pull()).toBe(3);
  await using _worker = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, 2]);
});

test("two workers share a tag, and every call runs once", async () => {
  await using one = await startWorker();
  await using other = await startWorker();
  const work = task(short);
  for (const x of numbers(120)) work(x);
  using tag = await work.submit();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(numbers(120));
  expect(await runsOf(tag)).toEqual(numbers(120).map(() => 1));
  for (const worker of [one, other]) await worker.says(new RegExp(`working on ${tag.name}`));
});

test("a worker that is stopped lets running calls end and hands back the rest; another finishes", async () => {
  const first = await startWorker();
  const work = task(short);
  for (const x of numbers(60)) work(x);
  using tag = await work.submit();
  await until(
    "some results",
    () => tag.status(),
    ({ succeeded }) => succeeded >= 4,
  );
  await using _second = await startWorker();
  const ended = await first.stop();
  expect(ended).toMatchObject({ code: 0, signal: null });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(numbers(60));
  expect(tag.nErrors).toBe(0);
  expect(await runsOf(tag)).toEqual(numbers(60).map(() => 1));
});

test("calls that do not end in time when their worker is stopped are run again elsewhere", async () => {
  const first = await startWorker();
  const work = task(longBefore);
  const later = Date.now() + 4_000;
  for (const _ of numbers(2)) work(later);
  using tag = await work.submit();
  await until(
    "both to run",
    () => runsOf(tag),
    (runs) => runs.every((times) => times === 1),
  );
  const stopping = first.stop();
  await using _second = await startWorker();
  expect(await stopping).toMatchObject({ code: 0 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(["ended", "ended"]);
  expect(await runsOf(tag)).toEqual([2, 2]);
});

test("calls of a worker that vanished are run by another", async () => {
  const first = await startWorker();
  const work = task(longBefore);
  const later = Date.now() + 4_000;
  for (const _ of numbers(2)) work(later);
  using tag = await work.submit();
  await until(
    "both to run",
    () => runsOf(tag),
    (runs) => runs.every((times) => times === 1),
  );
  await first.stop("SIGKILL");
  await using second = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(["ended", "ended"]);
  expect(await runsOf(tag)).toEqual([2, 2]);
  await second.says(new RegExp(`working on ${tag.name}`));
});

test("a tag is run by the datacenters that it names, and by no others", async () => {
  await grantAccess(requestAccess(instance.embedded.link, { datacenter: "far" }), "far", { role: "worker" });
  await using _local = await startWorker();
  const work = task(short);
  work(1);
  using far = await work.submit({ datacenters: ["far"], tag: "far" });
  work(2);
  using near = await work.submit({ datacenters: ["local"], tag: "near" });
  expect(await near.pull({ blocking: true })).toBe(0);
  expect(await far.status()).toMatchObject({ datacenters: ["far"], pending: 1, running: 0 });
  await using _far = await WorkerProcess.start(instance.env, ["--datacenter", "far", "--slots", "1"]);
  expect(await far.pull({ blocking: true })).toBe(0);
  expect(await far.result(0)).toBe(1);
});

const SECOND_USER = `
import { task } from "humq";
const peek = task(() => {
  const seen = globalThis.left;
  globalThis.left = "by the second user";
  return seen ?? null;
});
for (let i = 0; i < 10; i++) peek();
const tag = await peek.submit();
await tag.pull({ blocking: true });
const seen = new Set();
for await (const result of tag.results()) seen.add(result);
console.log(JSON.stringify([...seen]), tag.nErrors);
`;

test("two users share a worker; neither sees what the other's calls left in their process", async () => {
  using home = temporaryDirectory("humq second home ");
  const ownHome = process.env.HUMQ_HOME;
  process.env.HUMQ_HOME = join(home.path, "home");
  const request = requestAccess(instance.embedded.link);
  process.env.HUMQ_HOME = ownHome;
  // Without bubblewrap a worker runs other people's calls only when it is told to.
  await using _worker = await startWorker("--unsafe");
  // The worker is there already: it hears of the new user by itself.
  await grantAccess(request, "second");
  using project = temporaryProject({ "second.mjs": SECOND_USER });
  const peek = task(() => {
    const kept = globalThis as { left?: string };
    const seen = kept.left;
    kept.left = "by the first user";
    return seen ?? null;
  });
  for (const _ of numbers(10)) peek();
  using tag = await peek.submit();
  const done = await project.run("second.mjs", { env: { ...instance.env, HUMQ_HOME: join(home.path, "home") } });
  expect(done.stderr).toBe("");
  expect(done.stdout).toMatch(/^\[null(,"by the second user")?\] 0\n$/);
  await tag.pull({ blocking: true });
  expect(await collect(tag.errors())).toEqual([]);
  for (const seen of await collect(tag.results())) expect([null, "by the first user"]).toContain(seen);
});

test("nonsense among the calls stops no worker", async () => {
  const work = task(short);
  for (const x of numbers(3)) work(x);
  using tag = await work.submit({ tag: "nonsense" });
  await withSession(undefined, async ({ nc, identity }) => {
    const u = shortUser(identity.user);
    for (const token of ["foo", "07", "1e3", "99"]) {
      const subject = subjectOf.call(u, tag.name, "*").replace("*", token);
      await publish(nc, { subject, data: Buffer.from("nonsense") });
    }
  });
  await using worker = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, 2]);
  await until(
    "the queue to be empty",
    () => tag.status(),
    ({ pending, running }) => pending + running === 0,
  );
  expect(worker.said).toMatch(new RegExp(`refused call 99 of ${tag.name}`));
  work(5);
  using after = await work.submit();
  expect(await after.result(0)).toBe(5);
});
