/** Seeing how far a tag is, who works on it, and why it does not run. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { HUB_STREAMS, IMPORTED_API, shortUser, subjectOf } from "../../core/broker/names.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Client, type Explanation, type TagStatus, task, VERSION, type WorkerEntry } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { PROGRAM } from "../support/cli.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { runProgram } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let client: Client;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  client = await Client.open();
});
afterAll(async () => {
  await client?.close();
  await instance?.stop();
});

async function humq(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [PROGRAM, ...args], { env: instance.env });
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

const json = async <T>(...args: string[]) => JSON.parse(await humq(...args, "--json")) as T;
const codes = ({ reasons }: Explanation) => reasons.map(({ code }) => code);

const work = async (ms: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  if (ms < 0) throw new Error("below zero");
  return ms;
};

test("no worker: all calls wait, and explain says what is missing", async () => {
  const short = task(work);
  for (const ms of [1, -1, 2]) short(ms);
  using tag = await short.submit();
  const status = await tag.status();
  expect(status).toMatchObject({ calls: 3, pending: 3, running: 0, succeeded: 0, errors: 0, paused: false });
  expect(status.ended).toEqual({ local: 0 });
  expect(status.expiresMs - status.createdMs).toBe(30 * 24 * 60 * 60 * 1000);
  expect(await client.workers()).toEqual([]);
  expect(await tag.explain()).toEqual({
    tag: tag.name,
    reasons: [
      {
        code: "no-worker",
        message: 'no worker of datacenter "local" is there',
        advice: "start one there: humq worker. All that are there: humq workers",
      },
    ],
  });
  expect(await humq("explain", tag.name)).toBe(
    `${tag.name}\nno worker of datacenter "local" is there.\n` +
      "  What to do: start one there: humq worker. All that are there: humq workers.\n",
  );

  await using worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
  expect(await tag.wait()).toEqual({ ended: 3, succeeded: 2, errors: 1 });
  const byState = { succeeded: 2, failed: 1, killed: 0, lost: 0, refused: 0, cancelled: 0 };
  expect(await tag.status()).toMatchObject({ succeeded: 2, errors: 1, byState, ended: { local: 3 } });
  expect(await tag.status({ byState: false })).toMatchObject({ succeeded: 2, errors: 1, byState: null });
  expect(await humq("status", tag.name)).toMatch(/^errors +1 \(1 failed\)$/m);
  const seen = await until(
    "an idle queue",
    () => tag.status(),
    ({ running }) => running === 0,
  );
  expect(seen.pending).toBe(0);
  expect(codes(await tag.explain())).toEqual(["finished"]);
  expect((await tag.explain()).reasons[0]!.message).toBe("all 3 calls have ended: 2 succeeded, 1 ended otherwise");
  expect((await json<WorkerEntry[]>("workers"))[0]).toMatchObject({ worker: worker.name });
});

test("a busy worker is seen with what it does, and without whose calls they are", async () => {
  await using worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
  const long = task(work);
  for (let i = 0; i < 4; i++) long(600_000);
  using tag = await long.submit({ tag: "secret-project" });
  const [entry] = await until(
    "a busy worker",
    () => client.workers(),
    ([only]) => only?.busy === 2,
  );
  expect(entry).toMatchObject({
    worker: worker.name,
    datacenter: "local",
    slots: 2,
    tags: 1,
    unsafe: false,
    network: "host",
    version: VERSION,
    leavesMs: null,
  });
  const stored = await withSession(undefined, async ({ nc, identity }) => {
    const reader = await StreamReader.open(nc, IMPORTED_API);
    let text = "";
    for await (const message of reader.all(HUB_STREAMS.workers, subjectOf.worker("*", "*"))) text += message.string();
    expect(text).not.toContain(shortUser(identity.user));
    return text;
  });
  expect(stored).toContain(worker.name);
  expect(stored).not.toContain("secret");
  expect(codes(await client.explain("secret"))).toEqual(expect.arrayContaining(["running"]));
  expect(await json<Explanation>("explain", tag.name)).toMatchObject({ tag: tag.name });
  const status = await json<TagStatus>("status", tag.name);
  expect(status).toMatchObject({ tag: tag.name, calls: 4, succeeded: 0, perSecond: 0 });
  expect(status).not.toHaveProperty("leftMs");
  const table = await humq("workers");
  expect(table.split("\n")[0]).toMatch(
    /^WORKER +DATACENTER +HOST +SLOTS +BUSY +MEMORY +TAGS +ISOLATION +VERSION +SINCE +LAST HEARD$/,
  );
  expect(table).toMatch(new RegExp(`^${worker.name} +local +\\S+ +2 +2 +0B of \\S+ +1 `, "m"));
  // Else whoever comes next would work on it.
  await tag.pause();
  expect(await tag.status()).toMatchObject({ paused: true });
  const { reasons } = await tag.explain();
  expect(reasons[0]).toEqual({ code: "paused", message: "it is paused", advice: `humq resume ${tag.name}` });
  await worker.stop("SIGKILL");
});

test("a worker that left is not listed any more", async () => {
  const worker = await WorkerProcess.start(instance.env);
  const names = async () => (await client.workers()).map((entry) => entry.worker);
  expect(await names()).toContain(worker.name);
  await worker.stop();
  expect(await names()).not.toContain(worker.name);
});

test("explain: too many cpus, over its concurrency", async () => {
  await using worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
  const big = task(work);
  big(1);
  using bigTag = await big.submit({ cpus: 64 });
  expect((await bigTag.explain()).reasons).toEqual([
    {
      code: "too-many-cpus",
      message: 'a call needs 64 cpus, and the largest worker of datacenter "local" has 2 slots',
      advice: "start one with more: humq worker --slots 64; or submit again with fewer cpus",
    },
  ]);
  const limited = task(work);
  for (let i = 0; i < 3; i++) limited(600_000);
  using tag = await limited.submit({ concurrency: 1 });
  const { reasons } = await until(
    "the limit",
    () => tag.explain(),
    (explanation) => codes(explanation).includes("concurrency"),
  );
  expect(reasons[0]!.message).toBe("2 calls wait: no more than 1 may run at once, and 1 do");
  expect(codes({ tag: "", reasons })).toEqual(["concurrency", "running"]);
  await tag.pause();
  await worker.stop("SIGKILL");
});

test("the rate and the time left come from two looks", async () => {
  await using _worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
  const steady = task(work);
  for (let i = 0; i < 400; i++) steady(25);
  using tag = await steady.submit();
  await tag.wait({ until: 5 });
  const status = await tag.status({ measureMs: 2_000 });
  expect(status.perSecond).toBeGreaterThan(0);
  expect(status.leftMs).toBeGreaterThan(0);
  const all = await json<TagStatus[]>("status");
  expect(all.map((one) => one.tag)).toContain(tag.name);
  expect(await humq("status")).toMatch(/^TAG +CREATED +STATE +CALLS +PENDING +RUNNING +SUCCEEDED +ERRORS\n/);
  expect(await humq("status", tag.name)).toMatch(/^state +(running|done)$/m);
});

test("a tag that was not submitted to its end, and options that are not known", async () => {
  const short = task(work);
  short(1);
  using tag = await short.submit();
  await withSession(undefined, async ({ nc, identity }) => {
    const { jetstreamManager } = await import("@nats-io/jetstream");
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const u = shortUser(identity.user);
    await manager.streams.purge(`KV_humq_tags_${u}`, { filter: subjectOf.close(u, tag.name) });
  });
  expect(codes(await tag.explain())).toEqual(["not-closed"]);
  await expect(tag.status({ measure: 1 } as never)).rejects.toThrow('unknown status option "measure"');
  await expect(tag.wait({ until: 2 })).rejects.toThrow(
    'wait option until: expected "done", "first-error" or a number of calls from 0 to 1, got 2',
  );
});
