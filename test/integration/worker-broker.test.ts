/** Workers whose broker goes away: for a while, or for good. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { startEmbedded } from "../../core/instance/up.ts";
import { startInstance } from "../support/embedded.ts";
import { processorSeconds } from "../support/processor.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

async function runsOf(tag: Tag): Promise<number[]> {
  const runs: number[] = [];
  for (let index = 0; index < tag.length; index++) {
    const text = (await tag.log(index)).map((piece) => piece.text).join("");
    runs.push(text.split("begun\n").length - 1);
  }
  return runs;
}

const sleeps = task(async (ms: number): Promise<number> => {
  console.log("begun");
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
});

test("a broker that is killed and comes back gets what was on its way at once", async () => {
  await using instance = await startInstance({ worker: false });
  await using worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "4"]);
  for (let i = 0; i < 1500; i++) sleeps(4);
  using tag = await sleeps.submit();
  await until(
    "some outcomes",
    () => tag.status(),
    ({ succeeded }) => succeeded >= 50,
  );
  const { server } = instance.embedded;
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  // Calls end meanwhile that cannot be stored.
  await delay(2_000);
  const again = await startEmbedded({ worker: false });
  try {
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(tag.nErrors).toBe(0);
    // Requests that nobody will answer are not waited for until they time out.
    expect(worker.said).not.toMatch(/timeout/i);
    // Calls that had ended were not run again because their acknowledgement was lost.
    const runs = await runsOf(tag);
    expect(runs.filter((times) => times > 1).length).toBeLessThanOrEqual(8);
    await worker.stop();
  } finally {
    await again.stop();
  }
});

for (const [what, submit] of [
  ["nothing to do", async () => undefined],
  [
    "calls that run",
    async () => {
      for (let i = 0; i < 8; i++) sleeps(60_000);
      await sleeps.submit({ quiet: true });
    },
  ],
  [
    "outcomes to store",
    async () => {
      for (let i = 0; i < 1000; i++) sleeps(5);
      const tag = await sleeps.submit({ quiet: true });
      await until(
        "some outcomes",
        () => tag.status(),
        ({ succeeded }) => succeeded >= 50,
      );
    },
  ],
] as const) {
  test(`a worker with ${what} stays calm when its broker is gone for good, and stops when it is told to`, async () => {
    await using instance = await startInstance({ worker: false });
    await using worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
    await submit();
    const { server } = instance.embedded;
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    // What it had in hand ends first.
    await delay(3_000);
    const before = processorSeconds(worker.pid);
    await delay(5_000);
    expect(processorSeconds(worker.pid) - before).toBeLessThan(1.5);
    expect(await worker.stop()).toMatchObject({ code: 0 });
  });
}
