/** What a worker had fetched ahead when it died is run elsewhere when its lease is over, not a lease later. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
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

/** From when there is a worker again. The budget is 15 s; two leases are 24 s. */
const MOST_MS = 20_000;

async function lossesOf(tag: Tag): Promise<number[]> {
  using directory = temporaryDirectory();
  const path = join(directory.path, "tag.db");
  await tag.toFile(path);
  using db = new DatabaseSync(path, { readOnly: true });
  return db
    .prepare("SELECT losses FROM calls ORDER BY idx")
    .all()
    .map(({ losses }) => Number(losses));
}

for (const [what, calls, options] of [
  ["without a limit", 250, {}],
  ["of a tag that limits how many run at once", 120, { concurrency: 2 }],
] as const) {
  test(`calls in hand of a worker that is killed, ${what}`, async () => {
    const work = task(async (x: number): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      return x;
    });
    const xs = Array.from({ length: calls }, (_, i) => i);
    for (const x of xs) work(x);
    const first = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
    using tag = await work.submit(options);
    await until(
      "some outcomes",
      () => tag.status(),
      ({ succeeded }) => succeeded >= 20,
    );
    await first.stop("SIGKILL");
    await using _second = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2"]);
    const againMs = Date.now();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(xs);
    expect(Date.now() - againMs).toBeLessThan(MOST_MS);
    // It had some, and each was lost once.
    expect([...new Set(await lossesOf(tag))].sort()).toEqual([0, 1]);
  });
}
