/** Two users on one worker: calls that need several slots, beside a flood of short ones. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { grantAccess, requestAccess, task } from "../../core/index.ts";
import { startInstance } from "../support/embedded.ts";
import { temporaryProject } from "../support/script.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const WIDE = `
import { task } from "humq";
const wide = task(async () => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  return "wide";
});
for (let i = 0; i < 6; i++) wide();
const tag = await wide.submit({ cpus: 2 });
await tag.pull({ blocking: true });
const results = [];
for await (const result of tag.results()) results.push(result);
console.log(JSON.stringify(results));
`;

test("a call that needs all slots gets them beside another user's flood of short calls, and does not stop it", {
  timeout: 240_000,
}, async () => {
  await using instance = await startInstance({ worker: false });
  using home = temporaryDirectory("humq second home ");
  const ownHome = process.env.HUMQ_HOME;
  process.env.HUMQ_HOME = join(home.path, "home");
  const request = requestAccess(instance.embedded.link);
  process.env.HUMQ_HOME = ownHome;
  await grantAccess(request, "second");
  await using _worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "2", "--unsafe"]);
  const short = task(async (x: number) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return x;
  });
  // A minute and a half of work: far more than what the wide calls take.
  for (let i = 0; i < 9000; i++) short(i);
  using flood = await short.submit();
  const before = await until(
    "the flood to run",
    () => flood.status(),
    ({ succeeded }) => succeeded >= 50,
  );
  using project = temporaryProject({ "wide.mjs": WIDE });
  const env = { ...instance.env, HUMQ_HOME: join(home.path, "home") };
  const done = await project.run("wide.mjs", { env, timeoutMs: 180_000 });
  // How far the pull is stands beside it, where that takes long.
  expect(done.stdout, done.stderr).toBe(`${JSON.stringify(Array(6).fill("wide"))}\n`);
  const after = await flood.status();
  expect(after.succeeded).toBeGreaterThan(before.succeeded);
  expect(after.pending).toBeGreaterThan(0);
});
