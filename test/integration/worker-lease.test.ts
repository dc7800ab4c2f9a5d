/** Leases are renewed by a thread of their own: a worker whose main thread is busy keeps its calls, one that hangs does not. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { ROOT } from "../support/cli.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Running } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
});
afterAll(() => instance?.stop());

/** A worker whose main thread does nothing else for so long once it gets SIGUSR2. */
const blocking = (module: string, blockMs: number) => `
import { Worker } from ${JSON.stringify(module)};
const worker = await Worker.start({ datacenter: "local", slots: 1 });
process.on("SIGUSR2", () => {
  console.log("blocked");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${blockMs});
  console.log("back");
});
process.on("SIGTERM", () => void worker.stop());
console.log("ready");
await worker.finished;
`;

const work = task(async (untilMs: number): Promise<number> => {
  console.log("begun");
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, untilMs - Date.now())));
  return untilMs;
});

async function runs(tag: Tag): Promise<number> {
  const text = (await tag.log(0)).map((piece) => piece.text).join("");
  return text.split("begun\n").length - 1;
}

const begun = (tag: Tag) =>
  until(
    "it to run",
    () => runs(tag),
    (times) => times === 1,
  );

for (const [what, module] of [
  ["the built package", "humq/worker"],
  ["its sources", pathToFileURL(join(ROOT, "worker", "index.ts")).href],
] as const) {
  test(`a main thread of ${what} that is busy for longer than a lease loses no call`, async () => {
    using project = temporaryProject({ "blocking.mjs": blocking(module, 17_000) });
    await using busy = new Running(process.execPath, [join(project.path, "blocking.mjs")], { env: instance.env });
    await busy.until(/^ready$/m);
    const untilMs = Date.now() + 20_000;
    work(untilMs);
    using tag = await work.submit();
    await begun(tag);
    // What is younger than a second is not in the thread's hands yet.
    await delay(1_500);
    process.kill(busy.pid, "SIGUSR2");
    await busy.until(/^blocked$/m);
    await using _other = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await tag.result(0)).toBe(untilMs);
    expect(await runs(tag)).toBe(1);
    expect(busy.stdout).toContain("back");
  });
}

test("a main thread that hangs for good loses its calls to others", async () => {
  using project = temporaryProject({ "hanging.mjs": blocking("humq/worker", 1_000_000) });
  const hanging = new Running(process.execPath, [join(project.path, "hanging.mjs")], {
    env: instance.env,
    timeoutMs: 300_000,
  });
  try {
    await hanging.until(/^ready$/m);
    const untilMs = Date.now() + 20_000;
    work(untilMs);
    using tag = await work.submit();
    await begun(tag);
    await delay(1_500);
    process.kill(hanging.pid, "SIGUSR2");
    await hanging.until(/^blocked$/m);
    await using _other = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await tag.result(0)).toBe(untilMs);
    expect(await runs(tag)).toBe(2);
  } finally {
    await hanging.stop("SIGKILL");
  }
});
