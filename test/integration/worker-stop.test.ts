/** When workers leave: by themselves, by a second signal, and what becomes of their calls; and workers that stood still. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Running } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

function startWorker(...args: string[]): Promise<WorkerProcess> {
  return WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1", ...args]);
}

/** A worker that is expected to leave by itself. */
function worker(args: string[], env: Record<string, string> = {}): Running {
  return new Running(process.execPath, [PROGRAM, "worker", "--datacenter", "local", "--slots", "1", ...args], {
    env: { ...instance.env, ...env },
  });
}

async function runsOf(tag: Tag): Promise<number[]> {
  const runs: number[] = [];
  for (let index = 0; index < tag.length; index++) {
    const text = (await tag.log(index)).map((piece) => piece.text).join("");
    runs.push(text.split("begun\n").length - 1);
  }
  return runs;
}

async function lossesOf(tag: Tag): Promise<unknown[]> {
  using directory = temporaryDirectory();
  const path = join(directory.path, "tag.db");
  await tag.toFile(path);
  using db = new DatabaseSync(path, { readOnly: true });
  return db
    .prepare("SELECT losses FROM calls ORDER BY idx")
    .all()
    .map(({ losses }) => losses);
}

const sleeps = async (ms: number): Promise<number> => {
  console.log("begun");
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
};

/** Goes on for two minutes if it begins before that time; at once otherwise. */
const longBefore = async (time: number): Promise<string> => {
  console.log("begun");
  if (Date.now() < time) await new Promise((resolve) => setTimeout(resolve, 120_000));
  return "ended";
};

describe("a worker leaves by itself", () => {
  test("when it has nothing to do for --idle-timeout, and not before", async () => {
    const work = task(sleeps);
    work(2_500);
    using tag = await work.submit();
    const running = worker(["--idle-timeout", "1s"]);
    expect(await running.finished).toMatchObject({ code: 0, signal: null });
    expect(running.stderr).toContain("leaving: nothing to do for 1s");
    expect(await tag.pull()).toBe(0);
    expect(await runsOf(tag)).toEqual([1]);
  });

  test("after --max-calls", async () => {
    const work = task(sleeps);
    for (let i = 0; i < 8; i++) work(1);
    using tag = await work.submit();
    const running = worker(["--max-calls", "3"]);
    expect(await running.finished).toMatchObject({ code: 0, signal: null });
    expect(running.stderr).toContain("leaving: it has taken 3 calls");
    expect(await tag.pull()).toBe(5);
    await using _other = await startWorker();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await runsOf(tag)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(await lossesOf(tag)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  for (const [what, args, env] of [
    ["--time-limit", ["--time-limit", "12s"], () => ({})],
    ["Slurm's end of the job", [], () => ({ SLURM_JOB_END_TIME: String(Math.ceil(Date.now() / 1000) + 12) })],
  ] as const) {
    test(`before ${what} is over: it takes no longer calls, and hands back what runs`, async () => {
      const work = task(longBefore);
      work(0);
      using longer = await work.submit({ timeLimit: "1h", tag: "longer" });
      work(0);
      using asking = await work.submit({ timeLimit: "1s", timeRequest: "1h", tag: "asking" });
      const soon = Date.now() + 10_000;
      work(soon);
      using unlimited = await work.submit({ tag: "unlimited" });
      const running = worker([...args], env());
      expect(await running.finished).toMatchObject({ code: 0, signal: null });
      expect(running.stderr).toContain("leaving: its time is over");
      for (const tag of [longer, asking, unlimited]) expect(await tag.pull()).toBe(1);
      await using _other = await startWorker();
      for (const tag of [longer, asking, unlimited]) {
        expect(await tag.pull({ blocking: true })).toBe(0);
        expect(await lossesOf(tag)).toEqual([0]);
        expect(await collect(tag.outcomes())).toMatchObject([{ state: "succeeded", attempts: 1, losses: 0 }]);
      }
      for (const tag of [longer, asking]) expect(await runsOf(tag)).toEqual([1]);
      expect(await runsOf(unlimited)).toEqual([2]);
    });
  }
});

test("a limit that makes no sense is said", async () => {
  for (const [args, said] of [
    [["--idle-timeout", "soon"], /--idle-timeout: expected seconds/],
    [["--time-limit", "0"], /--time-limit: expected more than 0, got 0/],
  ] as const) {
    const { code, stderr } = await worker([...args]).finished;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(said);
  }
});

test("a second signal ends it at once, and its call runs elsewhere", async () => {
  const work = task(longBefore);
  const first = await startWorker();
  work(Date.now() + 5_000);
  using tag = await work.submit();
  await until(
    "it to run",
    () => runsOf(tag),
    ([runs]) => runs === 1,
  );
  process.kill(first.pid, "SIGINT");
  const { code } = await first.stop("SIGTERM");
  expect(code).not.toBe(0);
  await using _second = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(["ended"]);
  expect(await lossesOf(tag)).toEqual([1]);
});

test("a worker that stood still for long begins nothing that it held; each call has one outcome", {
  timeout: 120_000,
}, async () => {
  const work = task(sleeps);
  // Short ones first, so that it holds some ahead.
  for (let i = 0; i < 200; i++) work(20);
  using tag = await work.submit();
  await using first = await startWorker();
  await until(
    "it to hold some",
    () => tag.pull(),
    (open) => open < 190,
  );
  process.kill(first.pid, "SIGSTOP");
  await using _second = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  process.kill(first.pid, "SIGCONT");
  await first.says(/dropping \d+ calls that were not begun: other workers may have them by now/);
  expect(await collect(tag.results())).toEqual(Array.from({ length: 200 }, () => 20));
  expect(tag.nErrors).toBe(0);
  // What its executors ran meanwhile may have run twice; what it only held has not.
  const runs = await runsOf(tag);
  expect(runs.filter((times) => times > 1).length).toBeLessThanOrEqual(10);
  // It is of use again.
  work(1);
  using next = await work.submit();
  expect(await next.pull({ blocking: true })).toBe(0);
});
