/** How many calls of a tag run at once, changed while it runs, with several workers in processes of their own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, type Tag, task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let workers: WorkerProcess[];
let gate: Gate;
/** Three workers with two slots each. */
const SLOTS = 6;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  const start = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
  workers = await Promise.all([start(), start(), start()]);
  gate = await Gate.start();
});
afterAll(async () => {
  await Promise.all((workers ?? []).map((worker) => worker.stop()));
  await gate?.[Symbol.asyncDispose]();
  await instance?.stop();
});

let groups = 0;
/** Calls that run until the gate lets them through. */
async function held(calls: number, concurrency?: number): Promise<Tag<number>> {
  const work = task(async (url: string, x: number) => {
    await fetch(`${url}/${x}`);
    return x;
  });
  const group = `${gate.url}/${++groups}`;
  for (let x = 0; x < calls; x++) work(group, x);
  return (await work.submit(concurrency === undefined ? {} : { concurrency })) as Tag<number>;
}

const runs = (calls: number) =>
  until(
    `${calls} calls to run`,
    () => gate.waiting,
    (waiting) => waiting === calls,
  );

/** Lets so many of the calls that run go on. */
function release(calls: number): void {
  gate.open(...gate.keys.slice(0, calls));
}

/** Lets one after the other go on, as long as there are others. @returns how many ran at once at most */
async function drain(tag: Tag, calls: number): Promise<number> {
  gate.mostWaited();
  for (let ended = 0; ended < calls; ended++) {
    await until(
      "a call to run",
      () => gate.waiting,
      (waiting) => waiting > 0,
    );
    release(1);
  }
  await tag.pull({ blocking: true });
  return gate.mostWaited();
}

test("a limit that comes, rises, falls and goes while the tag runs", async () => {
  using tag = await held(40);
  await runs(SLOTS);
  expect((await tag.status()).concurrency).toBeNull();

  await tag.setConcurrency(2);
  expect((await tag.status()).concurrency).toBe(2);
  // What runs goes on; of the rest no more than two.
  release(SLOTS);
  await runs(2);
  gate.mostWaited();
  for (let i = 0; i < 5; i++) {
    release(1);
    await runs(2);
  }
  expect(gate.mostWaited()).toBe(2);

  await using client = await Client.open();
  await client.setConcurrency(tag.name, 5);
  await runs(5);
  release(3);
  await runs(5);
  expect(gate.mostWaited()).toBe(5);

  await tag.setConcurrency(1);
  expect(gate.waiting).toBe(5);
  release(4);
  await until(
    "them to end",
    () => tag.status(),
    (seen) => seen.running === 1,
  );
  gate.mostWaited();
  for (let i = 0; i < 4; i++) {
    const [before] = gate.keys;
    release(1);
    await until(
      "the next call",
      () => gate.keys[0],
      (next) => next !== undefined && next !== before,
    );
  }
  expect(gate.mostWaited()).toBe(1);

  await tag.setConcurrency(null);
  await runs(SLOTS);
  const open = await tag.pull();
  await drain(tag, open);
  expect(await collect(tag.results())).toEqual(Array.from({ length: 40 }, (_, x) => x));
});

test("a limit that was set when the tag was submitted can be lifted, and workers that come later know of a new one", async () => {
  using tag = await held(12, 1);
  await runs(1);
  await tag.setConcurrency(null);
  await runs(SLOTS);
  await tag.setConcurrency(3);
  await Promise.all(workers.map((worker) => worker.stop()));
  workers = [await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "6"])];
  gate.open(...gate.keys);
  await runs(3);
  expect(await drain(tag, await tag.pull())).toBe(3);
});

test("short calls: from what workers have ahead they come down to the limit", async () => {
  const work = task(async (x: number) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return x;
  });
  for (let x = 0; x < 3000; x++) work(x);
  using tag = (await work.submit()) as Tag<number>;
  await until(
    "some to end",
    () => tag.pull(),
    (open) => open < 2900,
  );
  await tag.setConcurrency(1);
  await until(
    "no more than one to be in workers' hands",
    () => tag.status(),
    ({ running, pending }) => running <= 1 && pending > 0,
  );
  await tag.setConcurrency(null);
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(tag.nResults).toBe(3000);
});

test("a paused tag stays paused", async () => {
  using tag = await held(3);
  await tag.pause();
  await tag.setConcurrency(2);
  expect(await tag.status()).toMatchObject({ paused: true, concurrency: 2 });
  gate.open(...gate.keys);
  await tag.delete({ force: true });
});

test("what is no limit is told", async () => {
  using tag = await held(1);
  const wrong = (value: unknown) =>
    `concurrency: expected a whole number from 1 to 1000000, or null for no limit; got ${value}`;
  expect(() => tag.setConcurrency(0)).toThrow(wrong(0));
  expect(() => tag.setConcurrency(1.5)).toThrow(wrong(1.5));
  expect(() => tag.setConcurrency("4" as unknown as number)).toThrow(wrong('"4"'));
  gate.open(...gate.keys);
  await tag.delete({ force: true });
  await expect(tag.setConcurrency(2)).rejects.toThrow(/has no tag/);
});
