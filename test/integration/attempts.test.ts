/** Calls that fail and are tried again, whichever worker has them next; and those that are not. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PermanentError, type Tag, task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

const startWorker = () => WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);

/** How often each call was begun, by what it printed. */
async function runsOf(tag: Tag): Promise<number[]> {
  const runs: number[] = [];
  for (let index = 0; index < tag.length; index++) {
    const text = (await tag.log(index)).map((piece) => piece.text).join("");
    runs.push(text.split("begun\n").length - 1);
  }
  return runs;
}

/** What the archive says of each call: state, attempts, losses. */
async function bookkeeping(tag: Tag): Promise<unknown[][]> {
  using directory = temporaryDirectory();
  const path = join(directory.path, "tag.db");
  await tag.toFile(path);
  using db = new DatabaseSync(path, { readOnly: true });
  const rows = db.prepare("SELECT state, attempts, losses FROM calls ORDER BY idx").all();
  return rows.map((row) => Object.values(row));
}

/** Fails until it is that late. */
const failsBefore = (time: number): string => {
  console.log("begun");
  if (Date.now() < time) throw new Error("too early");
  return "late enough";
};

test("a call that fails is tried again until it succeeds, and the archive counts", async () => {
  await using _worker = await startWorker();
  const work = task(failsBefore);
  work(0);
  work(Date.now() + 5_000);
  using tag = await work.submit({ attempts: 10 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual(["late enough", "late enough"]);
  const runs = await runsOf(tag);
  expect(runs[0]).toBe(1);
  expect(runs[1]).toBeGreaterThan(1);
  expect(await bookkeeping(tag)).toEqual([
    ["succeeded", 1, 0],
    ["succeeded", runs[1], 0],
  ]);
});

test("it is tried as often as allowed and then has failed; once where nothing is said", async () => {
  await using _worker = await startWorker();
  const work = task(failsBefore);
  work(Number.MAX_SAFE_INTEGER);
  using thrice = await work.submit({ attempts: 3 });
  work(Number.MAX_SAFE_INTEGER);
  using once = await work.submit();
  for (const [tag, times] of [
    [thrice, 3],
    [once, 1],
  ] as const) {
    expect(await tag.pull({ blocking: true })).toBe(0);
    const [error] = await collect(tag.errors());
    expect([error?.state, error?.error.message]).toEqual(["failed", "too early"]);
    expect(await runsOf(tag)).toEqual([times]);
    expect(await bookkeeping(tag)).toEqual([["failed", times, 0]]);
  }
});

test("a PermanentError, or an error of that name, is not tried again", async () => {
  await using _worker = await startWorker();
  const work = task((own: boolean): void => {
    console.log("begun");
    if (own) throw new PermanentError("of no use");
    throw Object.assign(new Error("of no use either"), { name: "PermanentError" });
  });
  work(true);
  work(false);
  using tag = await work.submit({ attempts: 5 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  const errors = await collect(tag.errors());
  expect(errors.map(({ state, error }) => [state, error.name, error.message])).toEqual([
    ["failed", "PermanentError", "of no use"],
    ["failed", "PermanentError", "of no use either"],
  ]);
  expect(await runsOf(tag)).toEqual([1, 1]);
});

test("a call that ends its process is tried again as well", async () => {
  await using _worker = await startWorker();
  const work = task((): void => {
    console.log("begun");
    process.exit(3);
  });
  work();
  using tag = await work.submit({ attempts: 2 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  const [error] = await collect(tag.errors());
  expect([error?.state, error?.error.message]).toEqual([
    "failed",
    "the process exited with code 3 before the call ended",
  ]);
  expect(await runsOf(tag)).toEqual([2]);
});

test("of a chunk only the calls that failed are tried again", async () => {
  await using _worker = await startWorker();
  const work = task((x: number): number => {
    console.log("begun");
    if (x % 3 === 2) throw new Error(`not ${x}`);
    return x;
  });
  for (let x = 0; x < 9; x++) work(x);
  using tag = await work.submit({ attempts: 2, chunkSize: 9 });
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await collect(tag.results())).toEqual([0, 1, null, 3, 4, null, 6, 7, null]);
  expect(await runsOf(tag)).toEqual([1, 1, 2, 1, 1, 2, 1, 1, 2]);
});

test("the count goes on in another worker", async () => {
  const first = await startWorker();
  const work = task(failsBefore);
  work(Number.MAX_SAFE_INTEGER);
  using tag = await work.submit({ attempts: 3 });
  await until(
    "a first attempt",
    () => runsOf(tag),
    ([runs]) => runs! >= 1,
  );
  await first.stop();
  await using _second = await startWorker();
  expect(await tag.pull({ blocking: true })).toBe(0);
  expect(await runsOf(tag)).toEqual([3]);
  expect(await bookkeeping(tag)).toEqual([["failed", 3, 0]]);
});
