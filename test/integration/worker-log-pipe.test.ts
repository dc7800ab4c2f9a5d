/** A worker whose log nobody reads any more. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { PROGRAM } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { processorSeconds } from "../support/processor.ts";

/** A worker that is ready, and the other ends of its pipes closed. */
async function deafWorker(instance: TestInstance): Promise<{ worker: ChildProcess; ended: Promise<unknown[]> }> {
  const worker = spawn(process.execPath, [PROGRAM, "worker", "--json", "--slots", "1"], {
    env: { ...process.env, ...instance.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(worker, "exit");
  await once(worker.stdout, "data");
  worker.stdout.destroy();
  worker.stderr.destroy();
  return { worker, ended };
}

test("a worker goes on when the pipes of its output are closed, and stops in order", async () => {
  await using instance = await startInstance({ worker: false });
  const { worker, ended } = await deafWorker(instance);
  try {
    const twice = task((x: number) => 2 * x);
    // Each tag is worth two lines of the log.
    for (const x of [1, 2, 3]) {
      twice(x);
      using tag = await twice.submit();
      expect(await tag.pull({ blocking: true })).toBe(0);
      expect(await collect(tag.results())).toEqual([2 * x]);
    }
    expect(worker.exitCode).toBeNull();
    worker.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    worker.kill("SIGKILL");
  }
});

test("a worker that nobody hears and whose broker is gone for good stays calm", async () => {
  await using instance = await startInstance({ worker: false });
  const { worker, ended } = await deafWorker(instance);
  try {
    const sleeps = task((ms: number) => new Promise((resolve) => setTimeout(resolve, ms)));
    for (let i = 0; i < 400; i++) sleeps(10);
    await sleeps.submit({ quiet: true });
    const { server } = instance.embedded;
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    await delay(3_000);
    const before = processorSeconds(worker.pid!);
    await delay(5_000);
    expect(processorSeconds(worker.pid!) - before).toBeLessThan(1.5);
    worker.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    worker.kill("SIGKILL");
  }
});
