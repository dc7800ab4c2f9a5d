/** Cancelling, retrying and deleting calls that are chosen by list and by state. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { purge } from "../../core/broker/purge.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Client, Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
let gate: Gate;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
  gate = await Gate.start();
});
afterAll(async () => {
  await worker?.stop();
  await gate?.[Symbol.asyncDispose]();
  await instance?.stop();
});

let groups = 0;
/** Calls that run until the gate lets them through; two are running when it resolves. */
async function held(calls: number, options: { chunkSize?: number } = {}): Promise<{ tag: Tag<number>; group: number }> {
  const group = ++groups;
  const work = task(async (url: string, x: number) => {
    await fetch(`${url}-${x}`);
    return x;
  });
  for (let x = 0; x < calls; x++) work(`${gate.url}/${group}`, x);
  const tag = (await work.submit(options)) as Tag<number>;
  await until(
    "two calls to run",
    () => gate.waiting,
    (waiting) => waiting === 2,
  );
  return { tag, group };
}

async function statesOf(tag: Tag): Promise<string[]> {
  const states: string[] = (await collect(tag.results())).map((result) => (result === null ? "open" : "succeeded"));
  for await (const { index, state } of tag.errors()) states[index] = state;
  return states;
}

/** Calls 0 to 5: two succeed, one fails, one is killed, and the last two may be cancelled in time. */
async function ended(): Promise<Tag> {
  const work = task(async (x: number) => {
    console.log(`printed ${x}`);
    if (x === 2) throw new Error("no");
    if (x === 3) await new Promise((resolve) => setTimeout(resolve, 60_000));
    return x === 1 ? new Uint8Array(700_000) : x;
  });
  for (let x = 0; x < 6; x++) work(x);
  const tag = await work.submit({ timeLimit: 1 });
  await tag.cancel({ calls: "4-5" });
  await tag.pull({ blocking: true });
  return tag;
}

test("cancel what no worker has yet: what runs goes on", async () => {
  const { tag, group } = await held(8);
  expect(await tag.cancel({ state: "pending", calls: "0-5", reason: "enough" })).toBe(4);
  expect(await tag.cancel({ state: "pending", calls: "0-5" })).toBe(0);
  expect((await tag.status()).paused).toBe(false);
  gate.open(...Array.from({ length: 8 }, (_, x) => `${group}-${x}`));
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await statesOf(tag)).toEqual([
    "succeeded",
    "succeeded",
    ...["cancelled", "cancelled", "cancelled", "cancelled"],
    "succeeded",
    "succeeded",
  ]);
  tag.close();
});

test("cancel what runs: what waits takes its place", async () => {
  const { tag, group } = await held(5);
  expect(await tag.cancel({ state: "running", reason: "stuck" })).toBe(2);
  await until(
    "the next two",
    () => gate.keys.filter((key) => [`${group}-2`, `${group}-3`].includes(key)).length,
    (running) => running === 2,
  );
  gate.open(...Array.from({ length: 5 }, (_, x) => `${group}-${x}`));
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await statesOf(tag)).toEqual(["cancelled", "cancelled", "succeeded", "succeeded", "succeeded"]);
  expect((await collect(tag.errors()))[0]!.error.message).toBe("cancelled by its submitter: stuck");
  tag.close();
});

test("a paused tag stays paused when what waits is cancelled; both states are all", async () => {
  const { tag, group } = await held(6);
  await tag.pause();
  expect(await tag.cancel({ state: "pending", calls: [2] })).toBe(1);
  expect((await tag.status()).paused).toBe(true);
  expect(await tag.cancel({ state: ["pending", "running"] })).toBe(5);
  expect(await tag.pull()).toBe(0);
  gate.open(...Array.from({ length: 6 }, (_, x) => `${group}-${x}`));
  tag.close();
});

test("retry of several states, and of some of their calls", async () => {
  using tag = await ended();
  const before = await statesOf(tag);
  expect(before.slice(0, 4)).toEqual(["succeeded", "succeeded", "failed", "killed"]);
  expect(await tag.retry({ state: ["failed", "killed"], calls: "0-2" })).toBe(1);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await tag.retry({ state: ["failed", "killed"] })).toBe(2);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await statesOf(tag)).toEqual(before);
});

test("delete of some calls: their outcomes go, the tag stays, nothing runs again", async () => {
  using tag = await ended();
  const before = await statesOf(tag);
  const { succeeded, errors, byState } = await tag.status();
  const counted = { succeeded: 0, failed: 0, killed: 0, lost: 0, refused: 0, cancelled: 0 };
  for (const state of before) counted[state as keyof typeof counted]++;
  expect(byState).toEqual(counted);
  using elsewhere = await Tag.fromQueue(tag.name);
  await expect(elsewhere.delete({ calls: "0-1" })).rejects.toThrow("2 outcomes on the broker were not pulled");
  expect(await tag.delete({ calls: "0-1" })).toBe(2);
  expect(await tag.delete({ state: "failed" })).toBe(1);
  expect(await tag.log(0)).toEqual([]);
  const { failed, cancelled } = counted;
  expect(await tag.status()).toMatchObject({
    succeeded,
    errors,
    // The note in the place of an error says that much.
    byState: { ...counted, failed: 0, cancelled: cancelled + failed },
  });
  expect(await tag.pull()).toBe(0);
  expect(await statesOf(tag)).toEqual(before);
  // Who starts afresh finds notes, and waits for nothing.
  expect(await elsewhere.pull({ blocking: true })).toBe(0);
  expect((await statesOf(elsewhere)).slice(0, 4)).toEqual(["cancelled", "cancelled", "cancelled", "killed"]);
  const [first] = await collect(elsewhere.errors());
  expect(first!.error.message).toBe("its outcome was deleted from the broker by its submitter");
  expect((await elsewhere.explain()).reasons[0]!.code).toBe("finished");
  expect((await elsewhere.wait()).ended).toBe(6);
});

test("delete of calls that have not ended ends them", async () => {
  const { tag, group } = await held(6);
  expect(await tag.delete({ state: "pending", calls: "4-5" })).toBe(2);
  expect(await tag.delete({ calls: "0,3" })).toBe(2);
  await until(
    "the next call",
    () => gate.keys.includes(`${group}-2`),
    (running) => running,
  );
  gate.open(...Array.from({ length: 6 }, (_, x) => `${group}-${x}`));
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await statesOf(tag)).toEqual(["cancelled", "succeeded", "succeeded", "cancelled", "cancelled", "cancelled"]);
  tag.close();
});

test("what was downloaded and deleted does not run again for somebody else", async () => {
  const work = task((x: number) => {
    console.log("begun");
    return x;
  });
  for (let x = 0; x < 40; x++) work(x);
  using tag = await work.submit({ chunkSize: 4 });
  await tag.pull({ blocking: true });
  expect(await tag.delete({ downloadedOnly: true })).toBe(40);
  using elsewhere = await Tag.fromQueue(tag.name);
  expect(await elsewhere.pull({ blocking: true })).toBe(0);
  expect([elsewhere.nResults, elsewhere.nErrors]).toEqual([0, 40]);
  expect((await tag.status()).succeeded).toBe(40);
  // What a call printed may come a little after its outcome.
  const log = await until(
    "what the first call printed",
    () => tag.log(0),
    (pieces) => pieces.length > 0,
  );
  expect(log.map(({ text }) => text)).toEqual(["begun\n"]);
  expect(await collect(tag.results())).toEqual(Array.from({ length: 40 }, (_, x) => x));
});

test("a call that was refused runs once the broker holds it as it was signed, in a generation of its own", async () => {
  const work = task((x: number) => x);
  for (let x = 0; x < 4; x++) work(x);
  await worker.stop();
  using tag = await work.submit();
  await withSession(undefined, async ({ nc, identity }) => {
    const u = shortUser(identity.user);
    const reader = await StreamReader.open(nc);
    const subject = subjectOf.call(u, tag.name, 1);
    const put = async (data: Uint8Array) => {
      await purge(nc, streamOf.calls(u), subject);
      await publish(nc, { subject, data });
    };
    const { data } = (await reader.last(streamOf.calls(u), subject))!;
    const altered = Uint8Array.from(data);
    altered[altered.length - 5]! ^= 1;
    await put(altered);
    worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
    await tag.pull({ blocking: true });
    expect(await statesOf(tag)).toEqual(["succeeded", "refused", "succeeded", "succeeded"]);
    const outcome = subjectOf.outcome(u, "error", "local", tag.name, 1);
    const refusal = await reader.last(streamOf.results(u), outcome);
    expect(refusal).not.toBeNull();
    await expect(tag.retry({ state: "refused" })).rejects.toThrow(
      `${tag.name}: the broker does not hold calls 1 as you submitted them, so they cannot run again; submit them anew.`,
    );
    await tag.pause();
    await put(data);
    expect(await tag.retry({ state: "refused" })).toBe(1);
    expect(await reader.last(streamOf.results(u), outcome)).toBeNull();
    // A worker that was slow to say so of the message that lay there before says nothing about this one.
    await publish(nc, { subject: outcome, data: refusal!.data });
    expect(await tag.pull()).toBe(1);
    await tag.resume();
  });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, 2, 3]);
});

test("a client does the same by the tag's name", async () => {
  const { tag, group } = await held(5);
  await using client = await Client.open();
  expect(await client.cancel(tag.name, { state: "pending", calls: "4" })).toBe(1);
  await expect(client.delete(tag.name, { calls: "4" })).rejects.toThrow("1 outcome on the broker was not pulled");
  expect(await client.delete(tag.name, { calls: "3-4", force: true })).toBe(2);
  gate.open(...Array.from({ length: 5 }, (_, x) => `${group}-${x}`));
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await statesOf(tag)).toEqual(["succeeded", "succeeded", "succeeded", "cancelled", "cancelled"]);
  expect(await client.delete(tag.name, { force: true })).toBe(5);
  expect((await client.tags()).map((listed) => listed.tag)).not.toContain(tag.name);
  tag.close();
});

test("what is no state is told", async () => {
  const work = task((x: number) => x);
  work(1);
  using tag = await work.submit();
  await tag.pull({ blocking: true });
  expect(() => tag.cancel({ state: "failed" })).toThrow(
    'cancel option state: expected one of pending, running, or a list of them; got "failed"',
  );
  await expect(tag.retry({ state: ["failed", "done"] })).rejects.toThrow(
    'retry option state: expected one of failed, killed, lost, refused, cancelled, or a list of them; got "done"',
  );
  expect(() => tag.delete({ state: [] })).toThrow(
    "delete option state: expected one of pending, running, succeeded, failed, killed, lost, refused, cancelled, or a list of them; got []",
  );
});
