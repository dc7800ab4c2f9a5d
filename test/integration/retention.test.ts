/** Tags that expire: nothing of them is left on the broker, nothing of them is started, and everybody is told so. */
import { jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { capture } from "../../core/capture/index.ts";
import { Client, Instance, Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { openSession } from "../../core/instance/session.ts";
import { checkSubmitOptions, type SubmitOptions } from "../../core/options.ts";
import { Recorder } from "../../core/submit/recorder.ts";
import { RecordedSource } from "../../core/submit/source.ts";
import { submitTag } from "../../core/submit/submit.ts";
import type { AnyFunction } from "../../core/task.ts";
import { encodeArguments } from "../../core/values/index.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { runProgram } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let gate: Gate;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  gate = await Gate.start();
});
afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await instance?.stop();
});

/** Submits what expires sooner than an option may say. */
async function shortLived(
  fn: AnyFunction,
  lists: unknown[][],
  retentionMs: number,
  options: SubmitOptions = {},
): Promise<Tag> {
  const { code } = await capture(fn, { name: "work" });
  const calls = new Recorder();
  for (const list of lists) calls.add(encodeArguments(list));
  const checked = { ...checkSubmitOptions({ quiet: true, ...options }, "work"), retentionMs };
  return withSession(
    undefined,
    async (session) => new Tag(await submitTag(session, { name: "work", code }, new RecordedSource(calls), checked)),
  );
}

/** Does what a tag must live for; where its time was over before that was done, again with one that lives longer. */
async function inTime<T>(firstMs: number, live: (retentionMs: number) => Promise<T>): Promise<T> {
  for (let retentionMs = firstMs; ; retentionMs *= 3) {
    const begunMs = Date.now();
    try {
      return await live(retentionMs);
    } catch (error) {
      if (Date.now() < begunMs + retentionMs) throw error;
    }
  }
}

/** Messages on the broker whose subject names the tag, by stream; and whether its queue is there. */
function storedOf(name: string): Promise<Record<string, number>> {
  return withSession("local", async ({ nc, identity }) => {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const u = shortUser(identity.user);
    const counts: Record<string, number> = {};
    for (const [kind, stream] of Object.entries(streamOf)) {
      const { state } = await manager.streams.info(stream(u), { subjects_filter: ">" });
      const own = Object.entries(state.subjects ?? {}).filter(([subject]) => subject.split(".").includes(name));
      if (own.length > 0) counts[kind] = own.reduce((sum, [, count]) => sum + count, 0);
    }
    const queues = await manager.consumers.list(streamOf.calls(u)).next();
    if (queues.some((queue) => queue.name === name)) counts.queue = 1;
    return counts;
  });
}

const humq = (...args: string[]) => runProgram(process.execPath, [PROGRAM, ...args], { env: instance.env });
const expired = ({ name }: Tag) =>
  `${name} expired on ${/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/.source}: its calls, outcomes and output are gone from the broker. ` +
  "What was pulled before is in its archive file; to run it again, submit again.";

test("after its time nothing of a tag is left but its name, and nothing of it is begun", {
  timeout: 240_000,
}, async () => {
  await using worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
  const work = async (url: string, x: number, bytes: Uint8Array) => {
    console.log("begun");
    if (x === 2) throw new Error("no");
    if (x > 2) await fetch(`${url}/${x}`);
    return bytes;
  };
  using usual = await (async () => {
    const other = task((x: number) => x);
    other(1);
    return other.submit();
  })();
  await usual.pull({ blocking: true });
  const kept = await storedOf(usual.name);
  let tries = 0;
  const letThrough = () => gate.open(...[3, 4, 5, 6, 7].map((x) => `${tries}/${x}`));
  using tag = await inTime(8_000, async (retentionMs) => {
    // What an earlier try left running.
    letThrough();
    const url = `${gate.url}/${++tries}`;
    const lists = Array.from({ length: 8 }, (_, x) => [url, x, new Uint8Array(x < 2 ? 700_000 : 1)]);
    const made = await shortLived(work, lists, retentionMs, { attempts: 2 });
    const isOver = () => Date.now() > made.expires!.getTime();
    await until(
      "two calls to run",
      () => gate.waiting,
      (waiting) => waiting === 2 || isOver(),
    );
    // The one that failed may wait for its second attempt.
    await until(
      "the first results",
      () => made.pull(),
      (open) => open <= 6,
    );
    const full = await storedOf(made.name);
    expect(Object.keys(full).sort()).toEqual(["arguments", "calls", "logs", "outputs", "queue", "results", "tags"]);
    expect(await made.status()).toMatchObject({ expired: false, expiresMs: made.expires!.getTime(), succeeded: 2 });
    return made;
  });

  await until(
    "it to be gone",
    () => storedOf(tag.name),
    ({ calls, results, arguments: spilled, logs, outputs }) =>
      calls === undefined &&
      results === undefined &&
      spilled === undefined &&
      logs === undefined &&
      outputs === undefined,
  );
  // What runs goes on; its outcome comes too late.
  gate.mostWaited();
  letThrough();
  await worker.says(new RegExp(`nothing left to run of ${tag.name}`));
  expect(gate.mostWaited()).toBeLessThanOrEqual(2);
  await until(
    "nothing but the manifest",
    async () => {
      await using client = await Client.open();
      await client.tags();
      return storedOf(tag.name);
    },
    (seen) => JSON.stringify(seen) === '{"tags":1}',
  );
  expect(await storedOf(usual.name)).toEqual(kept);

  await expect(tag.pull()).rejects.toThrow(new RegExp(expired(tag)));
  await expect(tag.cancel()).rejects.toThrow(new RegExp(expired(tag)));
  await expect(Tag.fromQueue(tag.name)).rejects.toThrow(new RegExp(expired(tag)));
  expect((await collect(tag.results()))[0]).toEqual(new Uint8Array(700_000));
  expect(await tag.status()).toMatchObject({ expired: true, closed: false, pending: 0, running: 0, succeeded: 0 });
  expect((await tag.explain()).reasons).toMatchObject([{ code: "expired" }]);

  for (const command of ["pull", "results", "errors", "tasks", "logs"]) {
    const { code, stderr } = await humq(command, tag.name);
    expect([command, code, stderr]).toEqual([command, 1, expect.stringMatching(new RegExp(expired(tag)))]);
  }
  const status = await humq("status", tag.name);
  expect(status.stdout).toMatch(/^state +expired$/m);
  expect(status.stderr).not.toContain("Half-submitted");
  expect((await humq("tags")).stdout).toMatch(new RegExp(`${tag.name} .* \\(expired\\) +gone `));
  const listed = JSON.parse((await humq("tags", "--json")).stdout) as { tag: string; expiresMs: number }[];
  expect(listed.find((one) => one.tag === tag.name)).toMatchObject({ expiresMs: tag.expires!.getTime(), calls: null });

  // Its name can be given up as well.
  expect(await humq("delete", tag.name)).toMatchObject({ code: 0 });
  expect(await storedOf(tag.name)).toEqual({});
});

test("whoever waits for a tag hears that it has expired", async () => {
  using tag = await shortLived((x: number) => x, [[1], [2]], 4_000);
  const sentence = new RegExp(expired(tag));
  await Promise.all([
    expect(tag.pull({ blocking: true })).rejects.toThrow(sentence),
    expect(tag.result(1)).rejects.toThrow(sentence),
    expect(tag.wait()).rejects.toThrow(sentence),
    expect(collect(tag.logs({ follow: true }))).rejects.toThrow(sentence),
  ]);
  await expect(tag.pull({ blocking: true })).rejects.toThrow(sentence);
});

test("who has everything misses nothing", async () => {
  await using _worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
  using tag = await inTime(3_000, async (retentionMs) => {
    const made = await shortLived((x: number) => x, [[1], [2]], retentionMs);
    expect(await made.pull({ blocking: true })).toBe(0);
    return made;
  });
  await until(
    "it to expire",
    () => tag.status(),
    ({ expired: over }) => over,
  );
  expect(await tag.pull()).toBe(0);
  expect(await collect(tag.results())).toEqual([1, 2]);
});

test("what came too late, without a time of its own, goes with the owner's next command", async () => {
  using tag = await inTime(3_000, async (retentionMs) => {
    const made = await shortLived((x: number) => x, [[1]], retentionMs);
    await withSession(undefined, async ({ nc, identity }) => {
      const manager = await jetstreamManager(nc, { checkAPI: false });
      // The queue lasts as long after the last pull.
      const lasting = { inactive_threshold: 3600 * 1e9 };
      await manager.consumers.update(streamOf.calls(shortUser(identity.user)), made.name, lasting);
    });
    return made;
  });
  await until(
    "it to expire",
    () => tag.status(),
    ({ expired: over }) => over,
  );
  await withSession(undefined, async ({ nc, identity }) => {
    const u = shortUser(identity.user);
    await publish(nc, { subject: subjectOf.outcome(u, "result", "local", tag.name, 0), data: Buffer.from("late") });
  });
  await until(
    "the calls to be gone",
    () => storedOf(tag.name),
    ({ calls }) => calls === undefined,
  );
  expect(await storedOf(tag.name)).toMatchObject({ results: 1, queue: 1 });
  expect((await humq("status")).code).toBe(0);
  expect(await storedOf(tag.name)).toEqual({ tags: 1 });
});

test("a worker can neither remove nor shorten what is stored", async () => {
  using tag = await shortLived((x: number) => x, [[1]], 3600_000);
  await using worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
  await tag.pull({ blocking: true });
  await worker.stop();
  const { nc } = await openSession(new Instance("local"), { datacenter: "local" });
  const { user } = new Instance("local").identity()!;
  const subject = subjectOf.outcome(shortUser(user), "result", "local", tag.name, 0);
  for (const [name, value] of [
    ["Nats-TTL", "1s"],
    ["Nats-Rollup", "sub"],
    ["KV-Operation", "PURGE"],
    ["KV-Operation", "DEL"],
  ] as const) {
    const hostile = headers();
    hostile.set(name, value);
    await expect(publish(nc, { subject, data: Buffer.from("") }, hostile)).rejects.toThrow(/JetStream error/);
  }
  await nc.close();
  await withSession(undefined, async (session) => {
    const reader = await StreamReader.open(session.nc);
    expect(await reader.last(streamOf.results(shortUser(user)), subject)).not.toBeNull();
  });
  await tag.delete();
});
