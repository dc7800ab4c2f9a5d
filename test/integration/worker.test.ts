/** What a worker does with calls, in a worker that lives as long as the tests: what goes wrong with one is its own affair. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Tag, task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { type Project, temporaryProject } from "../support/script.ts";
import { WorkerProcess } from "../support/worker-process.ts";

let instance: TestInstance;
let worker: WorkerProcess;
beforeAll(async () => {
  instance = await startInstance({ worker: false });
  worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
});
afterAll(async () => {
  await worker?.stop();
  await instance?.stop();
});

async function errorsOf(tag: Tag): Promise<[number, string, string][]> {
  return (await collect(tag.errors())).map(({ index, state, error }) => [index, state, error.message]);
}

describe("a call", () => {
  test("has a fresh, empty working directory, which is gone afterwards", async () => {
    const work = task(async () => {
      const { readdirSync, writeFileSync, mkdirSync, chmodSync } = await import("node:fs");
      const before = readdirSync(".");
      mkdirSync("deep/er", { recursive: true });
      writeFileSync("deep/er/left.txt", "left");
      chmodSync("deep", 0o500);
      return { before, cwd: process.cwd() };
    });
    for (let i = 0; i < 6; i++) work();
    using tag = await work.submit();
    await tag.pull({ blocking: true });
    expect(await errorsOf(tag)).toEqual([]);
    for (const result of await collect(tag.results())) {
      expect(result!.before).toEqual([]);
      expect(existsSync(join(result!.cwd, "deep"))).toBe(false);
    }
  });

  test("prints into its own log, stdout and stderr apart, in order", async () => {
    const work = task(async (x: number) => {
      console.log(`one ${x}`);
      console.error(`two ${x} grüße`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      process.stdout.write(`three ${x}`);
      return x;
    });
    for (let i = 0; i < 8; i++) work(i);
    using tag = await work.submit();
    await tag.pull({ blocking: true });
    for (let i = 0; i < 8; i++) {
      const log = await tag.log(i);
      const text = (stream: string) => log.map((piece) => (piece.stream === stream ? piece.text : "")).join("");
      expect([text("stdout"), text("stderr")]).toEqual([`one ${i}\nthree ${i}`, `two ${i} grüße\n`]);
    }
  });

  test("sees no key of the worker and none of its environment", async () => {
    const work = task(async (home: string) => {
      const { existsSync } = await import("node:fs");
      return { home: existsSync(home), secrets: Object.keys(process.env).filter((name) => name.startsWith("HUMQ")) };
    });
    const call = work(instance.env.HUMQ_HOME);
    using _tag = await work.submit();
    expect(await call.result()).toEqual({ home: false, secrets: [] });
  });
});

describe("what takes a process down is that call's failure alone", () => {
  test("exit, signals, memory, uncaught errors", async () => {
    const work = task(async (how: string) => {
      if (how === "exit 0") process.exit(0);
      if (how === "exit 7") {
        process.stderr.write("last words\n");
        process.exit(7);
      }
      if (how === "segv") process.kill(process.pid, "SIGSEGV");
      if (how === "kill") process.kill(process.pid, "SIGKILL");
      if (how === "abort") process.abort();
      if (how === "memory") {
        const hoard: number[][] = [];
        for (;;) hoard.push(new Array(1_000_000).fill(1.5));
      }
      if (how === "overflow") {
        const deep = (n: number): number => deep(n + 1) + 1;
        deep(0);
      }
      if (how === "rejection") Promise.reject(new Error("nobody waits"));
      if (how !== "fine") await new Promise((resolve) => setTimeout(resolve, 60_000));
      return how;
    });
    const ways = [
      "exit 0",
      "fine",
      "exit 7",
      "segv",
      "fine",
      "kill",
      "abort",
      "memory",
      "overflow",
      "rejection",
      "fine",
    ];
    for (const how of ways) work(how);
    using tag = await work.submit();
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(ways.map((how) => (how === "fine" ? how : null)));
    const errors = await errorsOf(tag);
    expect(errors.map(([index, state]) => [index, state])).toEqual(
      // Nobody knows that the call did it itself.
      ways.flatMap((how, index) => (how === "fine" ? [] : [[index, how === "kill" ? "lost" : "failed"]])),
    );
    const messages = new Map(errors.map(([index, , message]) => [ways[index], message]));
    expect(messages.get("exit 0")).toBe("the process exited with code 0 before the call ended");
    expect(messages.get("exit 7")).toBe(
      "the process exited with code 7 before the call ended. The last it wrote to stderr:\nlast words",
    );
    expect(messages.get("segv")).toMatch(/^the process was ended by signal SIGSEGV/);
    expect(messages.get("kill")).toMatch(
      /^its process was killed, or its worker vanished, 5 times .*\. The last time the process was ended by signal SIGKILL, which this worker did not send: so does a machine that is out of memory/,
    );
    expect(messages.get("abort")).toMatch(/^the process was ended by signal SIGABRT/);
    expect(messages.get("memory")).toMatch(
      /^the process ran out of memory: JavaScript objects took all that V8 allows them(, it held \S+ in all)?\. With the submit option memory they may take more/,
    );
    expect(messages.get("overflow")).toBe("Maximum call stack size exceeded");
    expect(messages.get("rejection")).toBe("nobody waits");
    // The worker goes on.
    const after = work("fine");
    using _after = await work.submit();
    expect(await after.result()).toBe("fine");
  });

  test("an endless loop holds one slot and no more", async () => {
    const work = task((x: number) => {
      if (x < 0) for (;;);
      return x;
    });
    work(-1);
    for (let i = 0; i < 50; i++) work(i);
    using tag = await work.submit();
    expect(await tag.pull({ blocking: true, subset: Array.from({ length: 50 }, (_, i) => i + 1) })).toBe(0);
    expect(await tag.pull()).toBe(1);
    // Frees the slot for the tests that follow.
    await worker.stop("SIGKILL");
    worker = await WorkerProcess.start(instance.env, ["--slots", "2"]);
  });
});

describe("packages", () => {
  let project: Project;
  beforeAll(() => {
    project = temporaryProject();
  });
  afterAll(() => project[Symbol.dispose]());

  test("are installed once and found by the call", async () => {
    project.write("node_modules/left-pad/package.json", '{"name": "left-pad", "version": "1.3.0", "main": "index.js"}');
    project.write("node_modules/left-pad/index.js", "module.exports = () => 'the one that is installed here';");
    project.write(
      "pad.mjs",
      `import { task } from "humq";
       import leftPad from "left-pad";
       const pad = task((text) => leftPad(text, 5, "*"));
       const calls = [pad("a"), pad("bb")];
       await pad.submit({ packages: ["left-pad@1.3.0"] });
       console.log(await Promise.all(calls.map((call) => call.result())));`,
    );
    const done = await project.run("pad.mjs", { env: instance.env });
    expect(done).toEqual({ code: 0, signal: null, stdout: "[ '****a', '***bb' ]\n", stderr: "" });
  });

  test("one that does not exist is each call's error, with npm's last words", async () => {
    const work = task((x: number) => x);
    for (let i = 0; i < 3; i++) work(i);
    using tag = await work.submit({ packages: ["humq-no-such-package-51c0@1.0.0"] });
    expect(await tag.pull({ blocking: true })).toBe(0);
    const errors = await errorsOf(tag);
    expect(errors.map(([index, state]) => [index, state])).toEqual([0, 1, 2].map((index) => [index, "failed"]));
    expect(errors[0]![2]).toContain("humq-no-such-package-51c0");
    expect(errors[0]![2]).toMatch(/404/);
    const fine = work(7);
    using _fine = await work.submit();
    expect(await fine.result()).toBe(7);
  });
});
