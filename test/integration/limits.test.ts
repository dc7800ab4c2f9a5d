/** Time limits: the call that runs too long is killed with everything it started, and no other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
});
afterAll(async () => {
  await worker?.stop();
  await instance?.stop();
});

const sleeps = async (ms: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
};

const KILLED = /^over its time limit of 1s: ended after \d+(\.\d+)?s$/;

describe("a time limit", () => {
  test("ends a call that runs longer; the worker goes on with others", async () => {
    const work = task(sleeps);
    for (const ms of [0, 60_000, 1]) work(ms);
    using tag = await work.submit({ timeLimit: 1, attempts: 3 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([0, null, 1]);
    const errors = await collect(tag.errors());
    expect(errors).toMatchObject([{ index: 1, state: "killed" }]);
    expect(errors[0]!.error.message).toMatch(KILLED);
  });

  test("ends an endless loop, though nothing in its process hears of it", async () => {
    const work = task((): void => {
      for (;;);
    });
    work();
    using tag = await work.submit({ timeLimit: 1 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect(error).toMatchObject({ state: "killed" });
    expect(error!.error.message).toMatch(KILLED);
  });

  test("ends a loop of promises, which lets nothing else in", async () => {
    const work = task(async (): Promise<void> => {
      for (;;) await undefined;
    });
    work();
    using tag = await work.submit({ timeLimit: 1 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect(error).toMatchObject({ state: "killed" });
    expect(error!.error.message).toMatch(KILLED);
  });

  test("where there is none, such a loop ends when it is cancelled", async () => {
    const work = task(async (forever: boolean): Promise<string> => {
      if (forever) console.log("begun");
      while (forever) await undefined;
      return "ended";
    });
    work(true);
    work(false);
    using tag = await work.submit();
    await until(
      "it to run",
      () => tag.log(0),
      (pieces) => pieces.length > 0,
    );
    expect(await tag.cancel({ calls: "0" })).toBe(1);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([null, "ended"]);
    expect(await collect(tag.errors())).toMatchObject([{ index: 0, state: "cancelled" }]);
  });

  test("is each call's own: waiting for a slot does not count", async () => {
    const work = task(sleeps);
    for (let i = 0; i < 6; i++) work(400);
    using tag = await work.submit({ timeLimit: 1 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([400, 400, 400, 400, 400, 400]);
  });

  test("of a chunk ends that call only, whatever ran before it", async () => {
    const work = task(async (ms: number): Promise<number> => {
      if (ms > 0) for (const end = Date.now() + ms; Date.now() < end; );
      return ms;
    });
    const cases = [...Array.from({ length: 40 }, () => 0), 60_000, ...Array.from({ length: 40 }, () => 0)];
    for (const ms of cases) work(ms);
    using tag = await work.submit({ timeLimit: 1, chunkSize: cases.length });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(cases.map((ms) => (ms === 0 ? 0 : null)));
    expect(await collect(tag.errors())).toMatchObject([{ index: 40, state: "killed" }]);
  });

  test("lets the call clean up, but not come to a result any more; what it started ends too", async () => {
    const work = task(async (): Promise<string> => {
      const { spawn } = await import("node:child_process");
      spawn("sleep", ["611"], { stdio: "ignore" });
      await new Promise<void>((resolve) => {
        setTimeout(() => undefined, 60_000);
        process.once("SIGTERM", () => {
          console.log("cleaned up");
          resolve();
        });
      });
      return "too late";
    });
    work();
    using tag = await work.submit({ timeLimit: 1 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.errors())).toMatchObject([{ index: 0, state: "killed" }]);
    const log = await until(
      "its last words",
      () => tag.log(0),
      (pieces) => pieces.length > 0,
    );
    expect(log.map(({ text }) => text).join("")).toBe("cleaned up\n");
    const { readdirSync, readFileSync } = await import("node:fs");
    await until(
      "its child to be gone",
      () =>
        readdirSync("/proc").filter((pid) => {
          try {
            return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x00611\x00";
          } catch {
            return false;
          }
        }),
      (pids) => pids.length === 0,
    );
  });

  test("kills what does not end by SIGTERM", async () => {
    const work = task(async (): Promise<void> => {
      process.on("SIGTERM", () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });
    work();
    using tag = await work.submit({ timeLimit: 1 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect(error!.error.message).toMatch(
      /^over its time limit of 1s: ended after \d+(\.\d+)?s \(it did not end by SIGTERM within 5s\)$/,
    );
  });
});
