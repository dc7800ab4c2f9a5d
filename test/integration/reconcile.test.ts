/** What the broker loses runs again: forged acknowledgements, deleted queues, lost outcomes, parts of a backup. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, credsAuthenticator, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callsOf, consumerOf, indexOf, shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Running, runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
/** The user's own login, without anything of humq's. */
let nc: NatsConnection;
let u: string;
const home = temporaryDirectory("humq reconcile ");

/** Which calls ran, as they say themselves. */
const runs: string[] = [];
const outside = createServer((request, response) => {
  runs.push(request.url!.slice(1));
  response.end();
});
let url: string;

const humq = (...args: string[]) =>
  runProgram(process.execPath, [PROGRAM, ...args], { env: { ...instance.env, XDG_CONFIG_HOME: home.path } });

beforeAll(async () => {
  instance = await startInstance({ worker: false });
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const { context, credentials } = JSON.parse((await humq("nats-context", "--json")).stdout) as Record<string, string>;
  const path = join(home.path, "nats", "context", `${context}.json`);
  const { url: servers } = JSON.parse(readFileSync(path, "utf8")) as { url: string };
  nc = await connect({ servers, authenticator: credsAuthenticator(readFileSync(credentials!)) });
  u = await withSession(undefined, async ({ identity }) => shortUser(identity.user));
});
afterAll(async () => {
  await nc?.close();
  await instance?.stop();
  outside.close();
  home[Symbol.dispose]();
});

const startWorker = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
const manager = () => jetstreamManager(nc, { checkAPI: false });
const runsOf = (tag: string) => runs.filter((run) => run.startsWith(`${tag}/`)).map((run) => Number(run.split("/")[1]));
const sorted = (indices: number[]) => [...indices].sort((a, b) => a - b);
const upTo = (calls: number) => Array.from({ length: calls }, (_, i) => i);

let tags = 0;
/** Calls that tell when they run, and fail where they are told to. */
async function submitted(calls: number, options: { chunkSize?: number; failing?: number[] } = {}) {
  const { failing = [], ...others } = options;
  const name = `t${++tags}`;
  const work = task(async (where: string, x: number, fails: boolean) => {
    await fetch(where);
    if (fails) throw new Error(`call ${x} fails`);
    return x;
  });
  for (const x of upTo(calls)) work(`${url}/${name}/${x}`, x, failing.includes(x));
  const tag = (await work.submit(others)) as Tag<number>;
  return { tag, ran: () => sorted(runsOf(name)) };
}

/** Takes messages from the tag's queue as a worker does, and acknowledges them without running anything. */
async function swallow(tag: Tag, batch: number): Promise<number[]> {
  const inbox = `_INBOX.swallow.${tag.name}.${Math.random()}`;
  const subscription = nc.subscribe(inbox, { max: batch });
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${streamOf.calls(u)}.${consumerOf(tag.name)}`;
  nc.publish(subject, JSON.stringify({ batch, expires: 5e9 }), { reply: inbox });
  const swallowed: Msg[] = [];
  for await (const message of subscription) swallowed.push(message);
  for (const message of swallowed) message.respond("+ACK");
  await nc.flush();
  return swallowed.map(({ subject: of }) => indexOf(of));
}

async function idle(tag: Tag) {
  const { consumers } = await manager();
  return until(
    "an idle queue",
    () => consumers.info(streamOf.calls(u), consumerOf(tag.name)),
    (info) => info.num_pending === 0 && info.num_ack_pending === 0,
  );
}

/** Outcomes that the broker holds, by index. */
async function stored(tag: Tag): Promise<number[]> {
  const found: number[] = [];
  const reader = await StreamReader.open(nc);
  for await (const { subject } of reader.all(streamOf.results(u), subjectOf.outcome(u, "*", "*", tag.name, "*")))
    found.push(...callsOf([subject]));
  return sorted(found);
}

async function parked(tag: Tag): Promise<number> {
  const reader = await StreamReader.open(nc);
  return (await collect(reader.all(streamOf.arguments(u), subjectOf.nextCall(u, tag.name, "*")))).length;
}

async function purge(stream: string, filter: string): Promise<void> {
  await (await manager()).streams.purge(stream, { filter });
}

describe("acknowledged by somebody who did not run it", () => {
  test("status has it run again, and says so; a second look finds nothing", async () => {
    const { tag, ran } = await submitted(5);
    using _closed = tag;
    expect(await swallow(tag, 3)).toEqual([0, 1, 2]);
    expect((await tag.explain()).reasons.map(({ code }) => code)).toEqual(["no-worker"]);
    const said = JSON.parse((await humq("status", tag.name, "--json")).stdout);
    expect(said).toMatchObject({ pending: 5, running: 0, sentAgain: 3 });
    expect(await tag.status()).not.toHaveProperty("sentAgain");
    expect(await parked(tag)).toBe(0);
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(upTo(5));
    expect(ran()).toEqual(upTo(5));
  });

  test("explain says what happens by itself", async () => {
    const { tag } = await submitted(2);
    using _closed = tag;
    await swallow(tag, 2);
    expect((await tag.explain()).reasons.at(-1)).toEqual({
      code: "no-outcome",
      message: "2 calls left the queue without an outcome that is stored: the broker lost something",
      advice: `humq status ${tag.name}, or any pull, has them run again`,
    });
    expect((await humq("status", tag.name)).stdout).toMatch(/^sent again +2 calls, which the broker had lost$/m);
  });

  test("a plain pull finds it, whole or of some calls", async () => {
    const { tag } = await submitted(6, { chunkSize: 2 });
    using _closed = tag;
    await swallow(tag, 3);
    expect(await tag.pull()).toBe(6);
    expect(await tag.status()).toMatchObject({ pending: 3 });
    await swallow(tag, 3);
    expect(await tag.pull({ subset: [1] })).toBe(1);
    expect(await tag.status()).toMatchObject({ pending: 3 });
  });

  test("a blocking pull, a wait and a result find it while they wait", async () => {
    const { tag, ran } = await submitted(6, { chunkSize: 3 });
    using _closed = tag;
    using other = await Tag.fromQueue<number>(tag.name);
    const pulled = tag.pull({ blocking: true });
    const waited = tag.wait();
    const result = other.result(4);
    await swallow(tag, 2);
    await using _worker = await startWorker();
    expect(await pulled).toBe(0);
    expect(await waited).toEqual({ ended: 6, succeeded: 6, errors: 0 });
    expect(await result).toBe(4);
    expect(await stored(tag)).toEqual(upTo(6));
    expect(new Set(ran())).toEqual(new Set(upTo(6)));
  });

  test("of a paused tag it waits until the tag is resumed", async () => {
    const { tag, ran } = await submitted(4);
    using _closed = tag;
    await swallow(tag, 2);
    await tag.pause();
    await using _worker = await startWorker();
    expect(await tag.status()).toMatchObject({ paused: true, pending: 4, sentAgain: 2 });
    expect(ran()).toEqual([]);
    await tag.resume();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(ran()).toEqual(upTo(4));
  });
});

test("of a chunk with half of its outcomes only those are missing that were lost", async () => {
  const { tag } = await submitted(6, { chunkSize: 3 });
  using _closed = tag;
  await using _worker = await startWorker();
  await tag.wait();
  await idle(tag);
  for (const index of [1, 5]) await purge(streamOf.results(u), subjectOf.outcome(u, "*", "*", tag.name, index));
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(upTo(6));
  expect(await stored(tag)).toEqual(upTo(6));
});

test("with retries and cancels: each call ends as it should, once", async () => {
  const { tag } = await submitted(8, { chunkSize: 4, failing: [0, 5] });
  using _closed = tag;
  {
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    await idle(tag);
  }
  // Call 0 now has the place of its chunk; calls 1 to 3 of that lie apart.
  expect(await tag.retry()).toBe(2);
  await swallow(tag, 2);
  expect(await tag.cancel({ calls: [5] })).toBe(1);
  for (const index of [2, 6]) await purge(streamOf.results(u), subjectOf.outcome(u, "*", "*", tag.name, index));
  using other = await Tag.fromQueue<number>(tag.name);
  expect(await other.pull()).toBe(3);
  await using _worker = await startWorker();
  expect(await other.pull({ blocking: true })).toBe(0);
  expect(await collect(other.results())).toEqual([null, 1, 2, 3, 4, null, 6, 7]);
  expect((await collect(other.errors())).map(({ index, state }) => [index, state])).toEqual([
    [0, "failed"],
    [5, "cancelled"],
  ]);
  expect(await stored(tag)).toEqual(upTo(8));
  expect(await tag.pull()).toBe(0);
});

describe("a deleted queue", () => {
  test("is made again, and what has an outcome does not run again", async () => {
    const { tag, ran } = await submitted(20);
    using _closed = tag;
    {
      await using _worker = await startWorker();
      await tag.pull({ blocking: true });
      await idle(tag);
    }
    const { consumers } = await manager();
    await consumers.delete(streamOf.calls(u), consumerOf(tag.name));
    // As if it had been deleted while these were still to run.
    const open = [3, 7, 15, 16, 17, 18, 19];
    for (const index of open) await purge(streamOf.results(u), subjectOf.outcome(u, "*", "*", tag.name, index));
    using other = await Tag.fromQueue<number>(tag.name);
    expect((await other.explain()).reasons[0]).toEqual({
      code: "no-queue",
      message: "its queue is not on the broker any more, so nobody can take its 7 open calls",
      advice: `humq status ${tag.name}, or any pull, makes it again; nothing of it is lost`,
    });
    expect(await other.pull()).toBe(7);
    expect(await other.status()).toMatchObject({ pending: 7, running: 0 });
    await using _worker = await startWorker();
    expect(await other.pull({ blocking: true })).toBe(0);
    expect(ran()).toEqual(sorted([...upTo(20), ...open]));
    expect(await stored(tag)).toEqual(upTo(20));
  });

  test("a worker that is there goes on by itself, and two clients make one queue", async () => {
    const { tag, ran } = await submitted(10);
    using _closed = tag;
    await (await manager()).consumers.delete(streamOf.calls(u), consumerOf(tag.name));
    await using _worker = await startWorker();
    using other = await Tag.fromQueue<number>(tag.name);
    expect(await Promise.all([tag.pull({ blocking: true }), other.pull({ blocking: true })])).toEqual([0, 0]);
    expect(ran()).toEqual(upTo(10));
  });

  test("of a tag that was deleted it stays away, and whoever waits is told", async () => {
    const { tag } = await submitted(2);
    using _closed = tag;
    const waiting = tag.wait();
    await tag.delete({ force: true });
    await expect(waiting).rejects.toThrow(`${tag.name} was deleted`);
    const names = (await (await manager()).consumers.list(streamOf.calls(u)).next()).map(({ name }) => name);
    expect(names).not.toContain(tag.name);
  });
});

describe("what cannot run any more ends", () => {
  test("calls whose messages were deleted are lost, for all who look", async () => {
    const { tag } = await submitted(4);
    using _closed = tag;
    for (const index of [1, 3]) await purge(streamOf.calls(u), subjectOf.call(u, tag.name, index));
    using other = await Tag.fromQueue<number>(tag.name);
    await tag.status();
    await using _worker = await startWorker();
    for (const one of [tag, other]) {
      expect(await one.pull({ blocking: true })).toBe(0);
      expect((await collect(one.errors())).map(({ index, state, error }) => [index, state, error.message])).toEqual(
        [1, 3].map((index) => [
          index,
          "lost",
          "the broker does not hold this call any more, or not as you signed it: it was deleted there, or is not in the " +
            "backup from which the broker was restored. It cannot run; submit it again.",
        ]),
      );
      expect(await collect(one.results())).toEqual([0, null, 2, null]);
    }
    expect(await tag.wait()).toEqual({ ended: 4, succeeded: 2, errors: 2 });
  });

  test("a result whose call was deleted later is still a result", async () => {
    const { tag } = await submitted(3);
    using _closed = tag;
    await using _worker = await startWorker();
    await tag.wait();
    await idle(tag);
    await purge(streamOf.calls(u), subjectOf.call(u, tag.name, 2));
    using other = await Tag.fromQueue<number>(tag.name);
    expect(await other.pull()).toBe(0);
    expect(await collect(other.results())).toEqual([0, 1, 2]);
  });

  test("messages that are not the submitter's own stop nobody", async () => {
    const { tag } = await submitted(3);
    using _closed = tag;
    await purge(streamOf.calls(u), subjectOf.call(u, tag.name, 1));
    for (const index of [1, 99])
      await publish(nc, { subject: subjectOf.call(u, tag.name, index), data: new Uint8Array([1, 2, 3]) });
    using other = await Tag.fromQueue<number>(tag.name);
    expect(await other.pull()).toBe(3);
    await using _worker = await startWorker();
    expect(await other.pull({ blocking: true })).toBe(0);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(other.results())).toEqual([0, null, 2]);
    expect((await collect(other.errors())).map(({ index, state }) => [index, state])).toEqual([[1, "refused"]]);
    expect(await tag.wait()).toMatchObject({ ended: 3, errors: 1 });
  });
});

test("an outcome that is none makes room for the call's own", async () => {
  const { tag } = await submitted(3);
  using _closed = tag;
  const forged = subjectOf.outcome(u, "result", "local", tag.name, 1);
  await publish(nc, { subject: forged, data: new TextEncoder().encode("not sealed by anybody") });
  await using _worker = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, 2]);
  expect(await stored(tag)).toEqual([0, 1, 2]);
});

describe("several clients, and killed ones", () => {
  test("two reconcile at the same time: every call is in the queue once", async () => {
    const { tag, ran } = await submitted(300);
    using _closed = tag;
    await swallow(tag, 300);
    const clients = await Promise.all([1, 2, 3].map(() => Tag.fromQueue<number>(tag.name)));
    await Promise.all(clients.map((client) => client.status()));
    for (const client of clients) client.close();
    expect(await tag.status()).toMatchObject({ pending: 300, running: 0 });
    expect(await parked(tag)).toBe(0);
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(ran()).toEqual(upTo(300));
    expect(await stored(tag)).toEqual(upTo(300));
  });

  test.each(["parked", "taken out", "back, and still parked"])("one was cut off: %s", async (where) => {
    const { tag, ran } = await submitted(3);
    using _closed = tag;
    await swallow(tag, 3);
    const reader = await StreamReader.open(nc);
    const place = subjectOf.call(u, tag.name, 1);
    const { data } = (await reader.last(streamOf.calls(u), place))!;
    await publish(nc, { subject: subjectOf.nextCall(u, tag.name, 1), data });
    if (where !== "parked") await purge(streamOf.calls(u), place);
    if (where.startsWith("back")) await publish(nc, { subject: place, data });
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(ran()).toEqual(upTo(3));
    expect(await parked(tag)).toBe(0);
  });

  test("one is killed in the middle of it", async () => {
    const { tag, ran } = await submitted(900);
    using _closed = tag;
    await swallow(tag, 900);
    await idle(tag);
    const { consumers } = await manager();
    const killed = new Running(process.execPath, [PROGRAM, "status", tag.name], { env: instance.env });
    await until(
      "some of them to be sent again",
      () => consumers.info(streamOf.calls(u), consumerOf(tag.name)),
      ({ num_pending }) => num_pending > 0,
    );
    await killed.stop("SIGKILL");
    await tag.status();
    expect(await tag.status()).toMatchObject({ pending: 900, running: 0 });
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(ran()).toEqual(upTo(900));
    expect(await stored(tag)).toEqual(upTo(900));
  });
});

test("very many: the queue begins anew, paused as it was, and what has an outcome does not run", async () => {
  const { tag, ran } = await submitted(1500);
  using _closed = tag;
  for (let left = 1500; left > 0; left -= 500) await swallow(tag, 500);
  await idle(tag);
  // Outcomes that somebody has stored: of one in the middle, and of the first.
  const before = await consumers();
  for (const index of [0, 700])
    await publish(nc, { subject: subjectOf.outcome(u, "result", "local", tag.name, index), data: new Uint8Array(1) });
  await tag.pause();
  expect(await tag.status()).toMatchObject({ pending: 1498, running: 0, paused: true, sentAgain: 1498 });
  expect(await consumers()).not.toBe(before);
  await tag.resume();
  await using _worker = await startWorker();
  await until(
    "all others to have run",
    () => ran().length,
    (count) => count >= 1498,
  );
  expect(ran()).toEqual(upTo(1500).filter((index) => index !== 0 && index !== 700));

  async function consumers(): Promise<string> {
    return (await (await manager()).consumers.info(streamOf.calls(u), consumerOf(tag.name))).created;
  }
});
