/** No orphans: what executors have started ends with them, and executors end with their worker. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { Executor } from "../../worker/executor/executor.ts";
import { processesOf } from "../faults/world/processes.ts";
import { isolations, Submitter, scratch } from "./executor-harness.ts";

function base64(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString("base64"));
}

/** Processes that were started with this argument. */
function sleeping(marker: string): string[] {
  return processesOf(marker).filter((text) => text.endsWith(`sleep ${marker}`));
}

describe.each(isolations)("orphans, isolation %s", (isolation) => {
  /** A worker that runs this call and is killed as soon as the call has printed something. */
  async function killWorkerDuring(submitter: Submitter, ...list: unknown[]): Promise<void> {
    const folder = scratch();
    const { setup } = submitter;
    const job = submitter.job(0, list);
    const executorModule = new URL("../../worker/executor/executor.ts", import.meta.url).href;
    const script = join(folder, "worker.ts");
    writeFileSync(
      script,
      `import { Executor } from ${JSON.stringify(executorModule)};
       const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
       const options = { isolation: ${JSON.stringify(isolation)}, workRoot: ${JSON.stringify(folder)}, env: { MARK: ${JSON.stringify(basename(folder))} } } as const;
       const executor = Executor.start(options, { onOutput: () => process.kill(process.pid, "SIGKILL") });
       executor.addTag({ tagId: "t", codeId: "c", user: "UALICE", tag: ${JSON.stringify(setup.tag)},
         code: bytes(${base64(setup.code)}), tagKey: bytes(${base64(setup.tagKey)}), rootKey: bytes(${base64(setup.rootKey)}) });
       await executor.run({ tagId: "t", first: 0, count: 1, generation: 0, callHash: new Uint8Array(32), sealed: bytes(${base64(job.sealed!)}) });`,
    );
    expect(() => execFileSync(process.execPath, [script], { stdio: "pipe" })).toThrow(/SIGKILL|Command failed/);
    await expect.poll(() => processesOf(`MARK=${basename(folder)}`), { timeout: 5_000 }).toEqual([]);
  }

  test("an executor dies with a worker that is killed, even in an endless loop", async () => {
    const submitter = await Submitter.of(() => {
      console.log("looping");
      for (;;);
    });
    await killWorkerDuring(submitter);
  });

  test("with it dies what its call has started, though it left the process group and its parent has ended", async () => {
    const submitter = await Submitter.of(async (marker: string) => {
      const { spawn } = await import("node:child_process");
      // Both call setsid(2); of the second nobody is the parent any more.
      spawn("sleep", [marker], { stdio: "ignore", detached: true });
      const sh = spawn("sh", ["-c", `sleep ${marker} & exit`], { stdio: "ignore", detached: true });
      await new Promise((resolve) => sh.once("exit", resolve));
      console.log("started");
      for (;;);
    });
    const marker = `8${Date.now()}`;
    await killWorkerDuring(submitter, marker);
    await expect.poll(() => sleeping(marker), { timeout: 5_000 }).toEqual([]);
  });

  test("and what has left the group ends with an executor that is stopped", async () => {
    const submitter = await Submitter.of(async (marker: string) => {
      const { spawn } = await import("node:child_process");
      spawn("sleep", [marker], { stdio: "ignore", detached: true }).unref();
      return "left a child";
    });
    const marker = `7${Date.now()}`;
    const executor = Executor.start({ isolation, workRoot: scratch() }, {});
    executor.addTag(submitter.setup);
    await executor.run(submitter.job(0, [marker]));
    expect(sleeping(marker)).toHaveLength(1);
    await executor.stop();
    await expect.poll(() => sleeping(marker)).toEqual([]);
  });
});
