/** Retrying: what ended otherwise than succeeded runs in a generation of its own, and nothing of an earlier one counts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { purge } from "../../core/broker/purge.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
let broken = true;
/** What the calls depend on: it can be mended from here, in the sandbox too. */
let asked = 0;
const outside = createServer((_request, response) => {
  asked++;
  response.writeHead(broken ? 500 : 200).end();
});
let url: string;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await worker?.stop();
  await instance?.stop();
  outside.close();
});

async function submitted(calls: number, options: { chunkSize?: number } = {}, padding = 0): Promise<Tag<number>> {
  broken = true;
  const work = task(async (where: string, x: number, bytes: Uint8Array) => {
    if (x % 3 === 1 && (await fetch(where)).status !== 200) throw new Error(`call ${x} failed`);
    return x + bytes.length;
  });
  for (let x = 0; x < calls; x++) work(url, x, new Uint8Array(padding));
  return (await work.submit(options)) as Tag<number>;
}

test.each([
  ["one by one", {}, 0],
  ["in chunks", { chunkSize: 4 }, 0],
  ["with large arguments", { chunkSize: 2 }, 300_000],
])("calls run again once the cause is mended: %s", async (_what, options, padding) => {
  using tag = await submitted(10, options, padding);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect([tag.nResults, tag.nErrors]).toEqual([7, 3]);
  expect(await tag.retry({ calls: "0-4" })).toBe(2);
  expect([tag.nResults, tag.nErrors]).toEqual([7, 1]);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(tag.nErrors).toBe(3);
  broken = false;
  expect(await tag.retry({ state: "killed" })).toBe(0);
  expect(await tag.retry()).toBe(3);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((x) => x + padding));
  // Whoever starts from the broker alone sees the same.
  using again = await Tag.fromQueue<number>(tag.name);
  expect(await again.pull()).toBe(0);
  expect(await collect(again.results())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((x) => x + padding));
  expect(await again.retry()).toBe(0);
});

test("an archive that was pulled before follows a retry made elsewhere", async () => {
  using tag = await submitted(5);
  await tag.pull({ blocking: true });
  using elsewhere = await Tag.fromQueue<number>(tag.name);
  broken = false;
  expect(await elsewhere.retry({ calls: [1] })).toBe(1);
  expect(await elsewhere.pull({ blocking: true })).toBe(0);
  expect(await tag.pull()).toBe(0);
  expect([tag.nResults, tag.nErrors]).toEqual([4, 1]);
  expect(await tag.result(1)).toBe(1);
});

test("a late outcome of an earlier generation is not taken, and keeps nothing from running", async () => {
  using tag = await submitted(2);
  await tag.pull({ blocking: true });
  await tag.pause();
  await withSession(undefined, async ({ nc, identity }) => {
    const u = shortUser(identity.user);
    const reader = await StreamReader.open(nc);
    const subject = subjectOf.outcome(u, "error", "local", tag.name, 1);
    const old = await reader.last(streamOf.results(u), subject);
    broken = false;
    expect(await tag.retry()).toBe(1);
    expect(await reader.last(streamOf.results(u), subject)).toBeNull();
    await publish(nc, { subject, data: old!.data });
  });
  expect(await tag.pull()).toBe(1);
  await tag.resume();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1]);
});

test("a call message of an earlier generation is not run", async () => {
  using tag = await submitted(2);
  await tag.pull({ blocking: true });
  await withSession(undefined, async ({ nc, identity }) => {
    const u = shortUser(identity.user);
    const reader = await StreamReader.open(nc);
    const old = await reader.last(streamOf.calls(u), subjectOf.call(u, tag.name, 1));
    await tag.pause();
    broken = false;
    await tag.retry();
    const askedBefore = asked;
    await purge(nc, streamOf.calls(u), subjectOf.call(u, tag.name, 1));
    await publish(nc, { subject: subjectOf.call(u, tag.name, 1), data: old!.data });
    await tag.resume();
    await until(
      "the old message to be done with",
      () => tag.explain(),
      ({ reasons }) => reasons.some(({ code }) => code === "no-outcome"),
    );
    expect(asked).toBe(askedBefore);
  });
  // Its own message is gone; what it was called with is signed in the old one, so it runs in a generation of its own.
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(tag.nErrors).toBe(0);
});

test("cancelled calls run again", async () => {
  await using gate = await Gate.start();
  const work = task(async (where: string, x: number) => {
    await fetch(`${where}/${x}`);
    return x;
  });
  for (let x = 0; x < 3; x++) work(gate.url, x);
  using held = await work.submit();
  await until(
    "two calls to run",
    () => gate.waiting,
    (waiting) => waiting === 2,
  );
  await held.pause();
  expect(await held.cancel({ reason: "not yet" })).toBe(3);
  expect(await held.pull()).toBe(0);
  expect((await collect(held.errors())).map(({ state }) => state)).toEqual(["cancelled", "cancelled", "cancelled"]);
  gate.open(0, 1, 2);
  await held.resume();
  expect(await held.retry()).toBe(3);
  expect(await held.pull({ blocking: true })).toBe(0);
  expect(await collect(held.results())).toEqual([0, 1, 2]);
});

test("wrong options are told", async () => {
  using tag = await submitted(1);
  await expect(tag.retry({ state: "succeeded" })).rejects.toThrow(
    'retry option state: expected one of failed, killed, lost, refused, cancelled, or a list of them; got "succeeded"',
  );
  await expect(tag.retry({ calls: "0-1" })).rejects.toThrow("calls: the tag has calls 0 to 0, got 1");
});
