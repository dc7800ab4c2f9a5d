/** One call, one outcome: whatever others stored, retried or deleted meanwhile. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countStored } from "../../core/broker/follow.ts";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { placeParked } from "../../core/control/place.ts";
import { readOwnControl } from "../../core/control/state.ts";
import { Tag, task } from "../../core/index.ts";
import { grantAccess } from "../../core/instance/grant.ts";
import { requestAccess } from "../../core/instance/join.ts";
import { withSession } from "../../core/instance/lease.ts";
import { openTag } from "../../core/tag/access.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Running } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let broken = true;
let held: { call: string; response: ServerResponse }[] = [];
/** What calls depend on: `/held/0` answers when it is told to, anything else at once. */
const outside = createServer((request, response) => {
  const [, word, call = ""] = request.url!.split("/");
  if (word === "held") held.push({ call, response });
  else response.writeHead(broken ? 500 : 200).end();
});
let url: string;

beforeAll(async () => {
  instance = await startInstance({ worker: false });
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await instance?.stop();
  outside.closeAllConnections();
  outside.close();
});

const startWorker = (datacenter: string) =>
  WorkerProcess.start(instance.env, ["--datacenter", datacenter, "--slots", "2"]);

function answer(call: string): void {
  for (const one of held) if (one.call === call) one.response.end();
  held = held.filter((one) => one.call !== call);
}

async function submitted(calls: number): Promise<Tag<number>> {
  broken = true;
  const work = task(async (where: string, x: number) => {
    if ((await fetch(where)).status !== 200) throw new Error(`call ${x} failed`);
    return x;
  });
  for (let x = 0; x < calls; x++) work(url, x);
  return (await work.submit({ datacenters: ["local"] })) as Tag<number>;
}

test("of a call that two datacenters have stored an outcome of one counts", async () => {
  await grantAccess(requestAccess(instance.embedded.link, { datacenter: "far" }), "far", { role: "worker" });
  await using stalled = await startWorker("local");
  const work = task(async (where: string, x: number) => {
    await fetch(where);
    return x;
  });
  work(`${url}/held/0`, 0);
  work(`${url}/held/1`, 1);
  using tag = await work.submit({ datacenters: ["local", "far"] });
  const running = (runs: number) =>
    until(
      "both to run",
      () => held.length,
      (length) => length === runs,
    );
  await running(2);
  process.kill(stalled.pid, "SIGSTOP");
  await using _far = await startWorker("far");
  await running(4);
  answer("0");
  await until(
    "what was run elsewhere",
    () => tag.status(),
    ({ succeeded }) => succeeded === 1,
  );
  process.kill(stalled.pid, "SIGCONT");
  const subject = await withSession(undefined, async ({ identity }) =>
    subjectOf.outcome(shortUser(identity.user), "*", "*", tag.name, 0),
  );
  await until(
    "what was run here all the same",
    () =>
      withSession(undefined, ({ nc, identity }) =>
        countStored(nc, streamOf.results(shortUser(identity.user)), subject),
      ),
    (outcomes) => outcomes === 2,
  );
  const status = { calls: 2, errors: 0 };
  expect(await tag.status()).toMatchObject({ ...status, running: 1, succeeded: 1, ended: { local: 0, far: 1 } });
  expect((await tag.explain()).reasons.map(({ code }) => code)).toEqual(["running"]);
  answer("1");
  expect(await tag.wait()).toEqual({ ended: 2, succeeded: 2, errors: 0 });
  expect(await tag.status()).toMatchObject({ ...status, succeeded: 2 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1]);
});

test("what was retried elsewhere is not taken for what an archive holds", async () => {
  await using _worker = await startWorker("local");
  using tag = await submitted(2);
  await tag.pull({ blocking: true });
  using elsewhere = await Tag.fromQueue<number>(tag.name);
  await elsewhere.pull();
  broken = false;
  expect(await elsewhere.retry({ calls: [1] })).toBe(1);
  await until(
    "the retried call to end",
    () => tag.status(),
    ({ succeeded }) => succeeded === 1,
  );
  await expect(tag.delete()).rejects.toThrow(`${tag.name}: 1 outcome on the broker was not pulled and would be lost`);
  expect(await tag.delete({ downloadedOnly: true })).toBe(1);
  expect(await tag.pull()).toBe(0);
  expect(await tag.result(1)).toBe(1);
});

test("a client that stood still in the middle of a retry undoes no later one", async () => {
  await using _worker = await startWorker("local");
  using tag = await submitted(1);
  await tag.pull({ blocking: true });
  await tag.retry();
  await tag.pull({ blocking: true });
  await withSession(undefined, async (session) => {
    const access = await openTag(session, tag.name);
    const u = shortUser(session.identity.user);
    const reader = await StreamReader.open(session.nc);
    const place = subjectOf.call(u, tag.name, 0);
    // What it has read.
    const control = await readOwnControl(access);
    const parked = (await reader.last(streamOf.calls(u), place))!;
    broken = false;
    using elsewhere = await Tag.fromQueue<number>(tag.name);
    await elsewhere.pull();
    expect(await elsewhere.retry()).toBe(1);
    await elsewhere.wait();
    const now = await reader.last(streamOf.calls(u), place);
    // It goes on.
    await publish(session.nc, { subject: subjectOf.nextCall(u, tag.name, 0), data: parked.data });
    await placeParked(access, control);
    expect((await reader.last(streamOf.calls(u), place))?.seq).toBe(now?.seq);
  });
  expect(await tag.status()).toMatchObject({ succeeded: 1, pending: 0 });
  expect(await tag.pull()).toBe(0);
  expect(await tag.result(0)).toBe(0);
});

test("a delete of what was downloaded that is killed in the middle has nothing run again", async () => {
  await using worker = await startWorker("local");
  broken = false;
  const work = task(async (x: number) => x);
  for (let x = 0; x < 3000; x++) work(x);
  using tag = await work.submit({ datacenters: ["local"], quiet: true });
  await tag.pull({ blocking: true, quiet: true });
  await worker.stop();
  using folder = temporaryDirectory("humq deleted ");
  const file = join(folder.path, "all.db");
  tag.toFile(file);
  const u = await withSession(undefined, async ({ identity }) => shortUser(identity.user));
  const outcomes = subjectOf.outcome(u, "*", "*", tag.name, "*");
  await withSession(undefined, async ({ nc }) => {
    const stored = () => countStored(nc, streamOf.results(u), outcomes);
    const killed = new Running(process.execPath, [PROGRAM, "delete", tag.name, file, "--downloaded-only"], {
      env: instance.env,
    });
    // As soon as it can be seen: the notes follow at once.
    while ((await stored()) === 3000);
    await killed.stop("SIGKILL");
  });
  expect(await tag.status()).not.toHaveProperty("sentAgain");
  expect(await tag.status()).toMatchObject({ pending: 0, running: 0 });
  using afresh = await Tag.fromQueue<number>(tag.name);
  expect(await afresh.pull({ quiet: true })).toBe(0);
  expect(await tag.delete({ downloadedOnly: true })).toBe(3000);
  expect(tag.nResults).toBe(3000);
});
