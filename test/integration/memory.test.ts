/** Memory limits: the call that takes too much is killed with everything it started, and no other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../../core/client.ts";
import { task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2", "--memory", "1GB"]);
});
afterAll(async () => {
  await worker?.stop();
  await instance?.stop();
});

const hold = async (megabytes: number): Promise<number> => {
  const held: Buffer[] = [];
  for (let i = 0; i < megabytes; i += 10) {
    held.push(Buffer.alloc(10_000_000, 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return held.length * 10;
};

const KILLED = /^over its memory limit of 300MB: it held (\d+)MB in \d+ processes, and was ended after \d+(\.\d+)?m?s$/;

describe("a memory limit", () => {
  test("ends a call that takes more; the worker goes on with others", async () => {
    const work = task(hold);
    for (const megabytes of [10, 5000, 20]) work(megabytes);
    using tag = await work.submit({ memory: "300MB", attempts: 3 });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([10, null, 20]);
    const errors = await collect(tag.errors());
    expect(errors).toMatchObject([{ index: 1, state: "killed" }]);
    const [, held] = KILLED.exec(errors[0]!.error.message) ?? [];
    expect(Number(held), errors[0]!.error.message).toBeGreaterThan(300);
    expect(Number(held)).toBeLessThan(1500);
  });

  test("counts all that the call started, and ends it too", async () => {
    const work = task(async (): Promise<void> => {
      const { spawn } = await import("node:child_process");
      const grow = "const a = []; setInterval(() => a.push(Buffer.alloc(5e6, 1)), 20)";
      spawn(process.execPath, ["-e", grow, "humq-memory-test-child"], { stdio: "ignore", detached: true });
      await new Promise((resolve) => setTimeout(resolve, 120_000));
    });
    work();
    using tag = await work.submit({ memory: "300MB" });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect(error!.state).toBe("killed");
    expect(error!.error.message).toMatch(KILLED);
    const { readdirSync, readFileSync } = await import("node:fs");
    const left = () =>
      readdirSync("/proc").filter((pid) => {
        try {
          return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("humq-memory-test-child");
        } catch {
          return false;
        }
      });
    await until("its child to be gone", left, (pids) => pids.length === 0);
  });

  test("ends a loop that never gives way", async () => {
    const work = task((): void => {
      for (const held: Buffer[] = []; ; ) held.push(Buffer.alloc(1_000_000, 1));
    });
    work();
    using tag = await work.submit({ memory: "300MB" });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.errors())).toMatchObject([{ index: 0, state: "killed" }]);
  });

  test("of a chunk ends that call only", async () => {
    const work = task(hold);
    const cases = [0, 10, 5000, 0, 10];
    for (const megabytes of cases) work(megabytes);
    using tag = await work.submit({ memory: "300MB", chunkSize: cases.length });
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([0, 10, null, 0, 10]);
    expect(await collect(tag.errors())).toMatchObject([{ index: 2, state: "killed" }]);
  });

  test("is V8's too: too many objects are over it, with the true cause", async () => {
    const work = task((): void => {
      for (const held: object[] = []; ; ) held.push({ a: held.length, b: [held.length] });
    });
    work();
    using tag = await work.submit({ memory: "300MB" });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect(error!.state).toBe("killed");
    expect(error!.error.message).toMatch(/^over its memory limit of 300MB: (JavaScript objects took|it held)/);
  });

  test("raises what V8 allows, where it is large", async () => {
    const limitOf = async (): Promise<number> => {
      const { getHeapStatistics } = await import("node:v8");
      return getHeapStatistics().heap_size_limit;
    };
    const work = task(limitOf);
    work();
    using tag = await work.submit({ memory: "900MB" });
    expect(await tag.result(0)).toBeGreaterThan(700e6);
  });

  test("lets no more calls run at once than there is memory for", async () => {
    await using gate = await Gate.start();
    const { url } = gate;
    const work = task(async (i: number): Promise<number> => {
      await fetch(`${url}/${i}`);
      return i;
    });
    for (let i = 0; i < 3; i++) work(i);
    using large = await work.submit({ memory: "700MB" });
    await until(
      "one call to run",
      () => gate.waiting,
      (waiting) => waiting === 1,
    );
    await using client = await Client.open();
    await until(
      "the worker to say so",
      () => client.workers(),
      ([entry]) => entry!.reservedBytes === 700e6 && entry!.memoryBytes === 1e9,
    );
    // What asks for little finds its place beside it; a second large one would not.
    for (let i = 10; i < 11; i++) work(i);
    using small = await work.submit({ memory: "200MB" });
    await until(
      "a small one beside it",
      () => gate.waiting,
      (waiting) => waiting === 2,
    );
    gate.open(10);
    expect(await small.result(0)).toBe(10);
    expect(gate.waiting).toBe(1);
    gate.open(0, 1, 2);
    expect(await large.pull({ blocking: true })).toBe(0);
    expect(await collect(large.results())).toEqual([0, 1, 2]);
  });

  test("beyond what a worker has is left to others; explain says so", async () => {
    const work = task(() => 1);
    work();
    using tag = await work.submit({ memory: "1.5GB" });
    await worker.says(/not running .*: a call of it asks for 1\.5GB of memory, this worker has 1GB/);
    const { reasons } = await until(
      "the reason",
      () => tag.explain(),
      ({ reasons: [first] }) => first?.code === "too-much-memory",
    );
    expect(reasons[0]).toEqual({
      code: "too-much-memory",
      message: 'a call asks for 1.5GB of memory, and the largest worker of datacenter "local" has 1GB',
      advice:
        "start one with more: humq worker --memory 1.5GB, on a machine that has it; or submit again with less memory",
    });
    await using _larger = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--memory", "2GB"]);
    expect(await tag.result(0)).toBe(1);
  });
});
