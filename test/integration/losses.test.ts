/** Workers that vanish: a call that is lost too often is not run again, hand-backs do not count. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

const startWorker = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);

async function runs(tag: Tag): Promise<number> {
  const text = (await tag.log(0)).map((piece) => piece.text).join("");
  return text.split("begun\n").length - 1;
}

const sleepsBefore = async (time: number): Promise<string> => {
  console.log("begun");
  if (Date.now() < time) await new Promise((resolve) => setTimeout(resolve, 120_000));
  return "ended";
};

test("a call whose worker vanishes as often as allowed is lost, and says on which workers", {
  timeout: 180_000,
}, async () => {
  const work = task(sleepsBefore);
  work(Number.MAX_SAFE_INTEGER);
  using tag = await work.submit({ maxLosses: 2 });
  const names: string[] = [];
  for (let times = 1; times <= 2; times++) {
    const worker = await startWorker();
    names.push(worker.name);
    // A worker says that it has a call before the call itself can say anything.
    await until(
      `run ${times}`,
      () => runs(tag),
      (seen) => seen === times,
    );
    await until(
      "word of who has it",
      () => tag.running(),
      ([begun]) => begun?.worker === worker.name,
    );
    await worker.stop("SIGKILL");
  }
  await using _last = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  const [error] = await collect(tag.errors());
  expect(error).toMatchObject({ index: 0, state: "lost" });
  const [first, second] = names;
  expect(error!.error.message).toContain(
    `its worker vanished 2 times while it had this call (on ${first} once, on ${second} once), so it is not run again.`,
  );
  expect(await tag.running()).toEqual([]);
  expect(await runs(tag)).toBe(2);
});

test("a worker that stops in order is no loss, however often", { timeout: 180_000 }, async () => {
  const work = task(sleepsBefore);
  const later = Date.now() + 1_000_000;
  work(later);
  using tag = await work.submit({ maxLosses: 2 });
  for (let times = 1; times <= 3; times++) {
    const worker = await startWorker();
    await until(
      `run ${times}`,
      () => runs(tag),
      (seen) => seen === times,
    );
    await worker.stop();
  }
  await using _last = await startWorker();
  await until(
    "run 4",
    () => runs(tag),
    (seen) => seen === 4,
  );
  expect(await tag.pull()).toBe(1);
});
