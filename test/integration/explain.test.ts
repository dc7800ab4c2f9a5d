/** Why a tag does not run: each situation as it really comes about. Others are in status, reconcile, retention and memory. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { HUB_STREAMS, subjectOf } from "../../core/broker/names.ts";
import { purge } from "../../core/broker/purge.ts";
import { type Tag, task, VERSION } from "../../core/index.ts";
import { Admin } from "../../core/instance/admin.ts";
import { openSession } from "../../core/instance/session.ts";
import { PROTOCOL } from "../../core/version.ts";
import { PROGRAM } from "../support/cli.ts";
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

let keys = 0;
/** Calls that end when the test says so. */
async function waiting(calls: number, options: Parameters<ReturnType<typeof task>["submit"]>[0] = {}) {
  const first = keys;
  keys += calls;
  const work = task(async (url: string, x: number) => {
    await fetch(`${url}/${x}`);
    return x;
  });
  for (let x = first; x < keys; x++) work(gate.url, x);
  const tag = (await work.submit(options)) as Tag<number>;
  return { tag, open: () => gate.open(...Array.from({ length: calls }, (_, i) => first + i)) };
}

/** The first reason, once it is `code`. */
async function reasonOf(tag: Tag, code: string) {
  const { reasons } = await until(
    code,
    () => tag.explain(),
    (seen) => seen.reasons[0]?.code === code,
  );
  return reasons[0]!;
}

/** A worker that was killed is listed for up to a minute. */
async function forgetWorkers(): Promise<void> {
  const admin = Admin.open(instance.embedded.instance);
  await purge(await admin.hub, HUB_STREAMS.workers, subjectOf.worker("*", "*"));
  await admin.close();
}

const start = (args: string[], env: Record<string, string> = {}) =>
  WorkerProcess.start({ ...instance.env, ...env }, ["--datacenter", "local", ...args]);

test("all workers are busy", async () => {
  await using _worker = await start(["--slots", "1"]);
  const busy = await waiting(1);
  using _busyTag = busy.tag;
  await until(
    "the call to run",
    () => gate.waiting,
    (count) => count === 1,
  );
  const next = await waiting(2);
  using tag = next.tag;
  expect(await reasonOf(tag, "no-free-slot")).toEqual({
    code: "no-free-slot",
    message: "2 calls wait: the one worker that may run it is busy",
    advice: "more workers or slots make it faster: humq worker --slots N",
  });
  busy.open();
  next.open();
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect((await tag.explain()).reasons[0]).toEqual({
    code: "finished",
    message: "all 2 calls have ended: all succeeded",
    advice: `humq pull ${tag.name}`,
  });
});

test("a worker is listed that does not ask for calls", async () => {
  const worker = await start(["--slots", "3"]);
  await worker.stop("SIGKILL");
  const { tag, open } = await waiting(1);
  using _closed = tag;
  expect(await reasonOf(tag, "not-taken")).toMatchObject({
    message: "1 call waits, and 1 worker with free slots does not ask for them",
  });
  open();
  await using _next = await start([]);
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
});

test("a worker stands still with a call in hand", async () => {
  await forgetWorkers();
  const { tag, open } = await waiting(1);
  using _closed = tag;
  const worker = await start(["--slots", "1"]);
  await until(
    "word of where it runs",
    () => tag.running(),
    ([one]) => one?.worker === worker.name && Date.now() - one.heardMs! < 10_000,
  );
  process.kill(worker.pid, "SIGSTOP");
  const { reasons } = await until(
    "the silence to be noticed",
    () => tag.explain(),
    (seen) => seen.reasons.some(({ code }) => code === "not-heard"),
  );
  expect(reasons.map(({ code }) => code)).toEqual(["no-worker", "not-heard", "running"]);
  expect(reasons[1]!.message).toMatch(
    new RegExp(
      `^worker ${worker.name}, which has 1 call in hand, was not heard for [2-5]\\ds: what it has runs elsewhere`,
    ),
  );
  const shown = async (command: string, ...args: string[]) =>
    (await runProgram(process.execPath, [PROGRAM, command, ...args], { env: instance.env })).stdout;
  expect(await shown("workers")).toMatch(new RegExp(`^${worker.name} .* [2-5]\\ds ago$`, "m"));
  expect(await shown("tasks", tag.name)).toMatch(
    /runs since \S+ \S+; its worker was not heard for [2-5]\ds: runs elsewhere once its lease is over$/m,
  );
  // Nobody counts on it for what comes now.
  const next = await waiting(1);
  using nextTag = next.tag;
  expect((await nextTag.explain()).reasons[0]?.code).toBe("no-worker");
  await worker.stop("SIGKILL");
  await using _other = await start([]);
  open();
  next.open();
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect(await nextTag.pull({ blocking: true, quiet: true })).toBe(0);
});

test("no worker has the isolation that other people's calls need", async () => {
  await forgetWorkers();
  // Without a PATH there is no bubblewrap.
  await using worker = await start(["--slots", "2"], { PATH: "/nonexistent" });
  const { tag, open } = await waiting(1);
  using _closed = tag;
  await reasonOf(tag, "own-calls-only");
  expect((await tag.explain()).reasons[0]).toEqual({
    code: "own-calls-only",
    message:
      'the workers of datacenter "local" have no isolation, so each runs only calls of the person who started it',
    advice: "if that is not you: have bubblewrap installed there, or the worker started with --unsafe",
  });
  // The owner's own calls do run there.
  open();
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
  expect(worker.said).not.toContain("refused");
});

test("workers of another version", async () => {
  await forgetWorkers();
  const { tag, open } = await waiting(1);
  using _closed = tag;
  expect((await tag.explain()).reasons[0]?.code).toBe("no-worker");
  // What a worker of a later humq would say of itself.
  const session = await openSession(instance.embedded.instance, { datacenter: "local" });
  const entry = { worker: "newer", datacenter: "local", host: "h", slots: 4, busy: 0, protocol: PROTOCOL + 1 };
  session.nc.publish(subjectOf.worker("local", "newer"), JSON.stringify(entry));
  await session.nc.flush();
  await session.nc.close();
  expect(await reasonOf(tag, "other-version")).toEqual({
    code: "other-version",
    message: `the 1 worker of datacenter "local" speaks humq protocol ${PROTOCOL + 1}, this humq (${VERSION}) and what it submits ${PROTOCOL}`,
    advice: "update humq here, and submit again",
  });
  open();
  await using _worker = await start([]);
  expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
});
