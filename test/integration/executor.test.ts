import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Executor } from "../../worker/executor/executor.ts";
import type { Job, JobHandlers } from "../../worker/executor/job.ts";
import type { ExecutorOptions } from "../../worker/executor/options.ts";
import { MARK_VARIABLE } from "../../worker/isolation/strays.ts";
import { isolations, Printed, Submitter, scratch } from "./executor-harness.ts";

const executors: Executor[] = [];

afterEach(async () => {
  await Promise.all(executors.splice(0).map((executor) => executor.stop("the test is over", 200)));
});

describe.each(isolations)("an executor, isolation %s", (isolation) => {
  function start(
    submitter: Submitter,
    handlers: JobHandlers<Job> = {},
    options: Partial<ExecutorOptions> = {},
  ): Executor {
    const executor = Executor.start({ isolation, workRoot: scratch(), ...options }, handlers);
    executors.push(executor);
    executor.addTag(submitter.setup);
    return executor;
  }

  test("runs calls one by one and seals each outcome for its call", async () => {
    const submitter = await Submitter.of(async (a: number, b: bigint) => new Map([[a, b * 2n]]));
    const executor = start(submitter);
    const single = await executor.run(submitter.job(0, [1, 2n]));
    expect(single.state).toBe("done");
    expect(submitter.open(single.outcomes[0]!).value).toEqual(new Map([[1, 4n]]));
    const chunk = await executor.run(submitter.job(100, [1, 1n], [2, 2n], [3, 3n]));
    expect(chunk.outcomes.map((outcome) => submitter.open(outcome).value)).toEqual([
      new Map([[1, 2n]]),
      new Map([[2, 4n]]),
      new Map([[3, 6n]]),
    ]);
    expect(submitter.open(chunk.outcomes[2]!).meta.startedMs).toBeGreaterThan(Date.now() - 60_000);
  });

  test("goes on where a chunk was left", async () => {
    const submitter = await Submitter.of((n: number) => n);
    const end = await start(submitter).run({ ...submitter.job(0, [10], [11], [12]), from: 1 });
    expect(end.outcomes.map((outcome) => [outcome.index, submitter.open(outcome).value])).toEqual([
      [1, 11],
      [2, 12],
    ]);
  });

  test("what a call throws comes back with message, cause, properties and stack, and the next call runs", async () => {
    const submitter = await Submitter.of(function flaky(n: number) {
      if (n === 1) throw Object.assign(new TypeError("no such thing", { cause: new Error("deep") }), { hint: 42 });
      return n;
    });
    const executor = start(submitter);
    const end = await executor.run(submitter.job(0, [1], [2]));
    const [thrown, returned] = end.outcomes.map((outcome) => submitter.open(outcome));
    expect(thrown!.error).toBeInstanceOf(TypeError);
    expect(thrown!.error!.message).toBe("no such thing");
    expect(thrown!.error!.stack).toContain("flaky");
    expect(thrown!.error!.hint).toBe(42);
    expect((thrown!.error!.cause as Error).message).toBe("deep");
    expect(returned!.value).toBe(2);
  });

  test("a result that cannot travel is that call's error", async () => {
    const submitter = await Submitter.of(() => ({ inner: () => 1 }));
    const end = await start(submitter).run(submitter.job(0, []));
    expect(submitter.open(end.outcomes[0]!).error!.message).toContain("result, .inner");
  });

  test("code that does not load is each call's error", async () => {
    const submitter = await Submitter.of(() => 1, { code: Buffer.from("this is no captured code") });
    const end = await start(submitter).run(submitter.job(0, [], []));
    expect(end.outcomes.map(({ kind }) => kind)).toEqual(["error", "error"]);
  });

  test("arguments sealed for another call are refused", async () => {
    const submitter = await Submitter.of((n: number) => n);
    const executor = start(submitter);
    const end = await executor.run({ ...submitter.job(0, [1]), first: 100 });
    expect(end).toMatchObject({ state: "refused", outcomes: [], reason: expect.stringContaining("call of call 100") });
    expect((await executor.run(submitter.job(200, [1]))).state).toBe("done");
  });

  test.each([
    ["process.exit(3)", { kind: "exit", exitCode: 3 }],
    ["process.kill(process.pid, 'SIGSEGV'); for (;;);", { kind: "signal", signal: "SIGSEGV" }],
    ["process.abort()", { kind: "signal", signal: "SIGABRT" }],
    ["const a = []; for (;;) a.push(new Array(1e5).fill(a.length))", { kind: "heap" }],
  ])("%s ends its own call only, with the cause", async (body, cause) => {
    const submitter = await Submitter.of((n: number, code: string) => (n === 1 ? new Function(code)() : n));
    const executor = start(submitter, {}, { nodeArgs: ["--max-old-space-size=64"] });
    const jobs = [0, 1, 2].map((n) =>
      executor.run(submitter.job(n * 100, [n, `const process = globalThis.process; ${body}`])),
    );
    const [before, at, after] = await Promise.all(jobs);
    expect(before!.state).toBe("done");
    expect(at).toMatchObject({ state: "crashed", index: 100, cause });
    expect(after!.state).toBe("returned");
    expect((await executor.ended).kind).toBe(cause.kind);
  });

  test("a crash within a chunk names the call and keeps what was done", async () => {
    const submitter = await Submitter.of((n: number) => (n === 2 ? process.exit(0) : n));
    const end = await start(submitter).run(submitter.job(0, [0], [1], [2], [3]));
    expect(end).toMatchObject({ state: "crashed", index: 2, cause: { kind: "exit", exitCode: 0 } });
    expect(end.outcomes.map(({ index }) => index)).toEqual([0, 1]);
  });

  test("among many tiny calls the one that crashes is blamed, whatever was held back", async () => {
    const submitter = await Submitter.of((n: number) => {
      if (n === 70) process.kill(process.pid, "SIGKILL");
      return n;
    });
    const executor = start(submitter);
    const ends = await Promise.all(Array.from({ length: 90 }, (_, n) => executor.run(submitter.job(n * 100, [n]))));
    const states = ends.map(({ state }) => state);
    expect(states[70]).toBe("crashed");
    expect(states.filter((state) => state === "crashed")).toHaveLength(1);
    expect(states.slice(71).every((state) => state === "returned")).toBe(true);
  });

  test("too deep a recursion is an error like any other", async () => {
    const submitter = await Submitter.of(function deep(n: number): number {
      return deep(n + 1) + 1;
    });
    const end = await start(submitter).run(submitter.job(0, [0]));
    expect(submitter.open(end.outcomes[0]!).error).toBeInstanceOf(RangeError);
  });

  test("an endless loop is ended by kill(), with the reason", async () => {
    const submitter = await Submitter.of(() => {
      console.log("looping");
      for (;;);
    });
    const looping = Promise.withResolvers<void>();
    const executor = start(submitter, { onOutput: () => looping.resolve() });
    const end = executor.run(submitter.job(0, []));
    await looping.promise;
    executor.kill("over its time limit");
    expect(await end).toMatchObject({
      state: "crashed",
      index: 0,
      cause: { kind: "killed", message: "over its time limit" },
    });
  });

  test("stop() lets user code clean up on SIGTERM", async () => {
    const submitter = await Submitter.of(() => {
      process.on("SIGTERM", () => {
        console.log("cleaned up");
        process.exit(0);
      });
      console.log("waiting");
      return new Promise(() => undefined);
    });
    const waiting = Promise.withResolvers<void>();
    let text = "";
    const executor = start(submitter, {
      onOutput: (_job, _index, _stream, bytes) => {
        text += Buffer.from(bytes).toString();
        if (text.includes("waiting")) waiting.resolve();
      },
    });
    const end = executor.run(submitter.job(0, []));
    await waiting.promise;
    await executor.stop("enough", 5_000);
    expect(await end).toMatchObject({ state: "crashed", cause: { kind: "killed", message: "enough" } });
    expect(text).toBe("waiting\ncleaned up\n");
  });

  test("console output comes in order, each text with its call", async () => {
    const submitter = await Submitter.of(async (n: number) => {
      const { execFileSync, spawnSync } = await import("node:child_process");
      console.log(`first ${n}`);
      execFileSync("echo", [`child ${n}`], { stdio: ["ignore", "inherit", "inherit"] });
      process.stdout.write(`last ${n}`);
      console.error(`warned ${n}`);
      spawnSync("sh", ["-c", `echo child warned ${n} >&2`], { stdio: "inherit" });
      return n;
    });
    const printed = new Printed();
    const executor = start(submitter, printed.handlers);
    await Promise.all([executor.run(submitter.job(0, [0], [1])), executor.run(submitter.job(100, [100]))]);
    for (const n of [0, 1, 100]) {
      expect(printed.stdout(n)).toBe(`first ${n}\nchild ${n}\nlast ${n}`);
      expect(printed.stderr(n)).toBe(`warned ${n}\nchild warned ${n}\n`);
    }
  });

  test("output beyond the limit is cut with a line that says so", async () => {
    const submitter = await Submitter.of((n: number) => {
      for (let i = 0; i < n; i++) console.log("0123456789");
      return n;
    });
    const printed = new Printed();
    const executor = start(submitter, printed.handlers, { outputLimitBytes: 1000 });
    const end = await executor.run(submitter.job(0, [50_000], [3]));
    expect(end.state).toBe("done");
    const text = printed.stdout(0);
    expect(text.slice(0, 11)).toBe("0123456789\n");
    expect(text.slice(1000)).toBe("\n[humq: output cut here, a call keeps 1000 bytes]\n");
    expect(printed.stdout(1)).toBe("0123456789\n".repeat(3));
  });

  test("each call starts in an empty working directory and finds nothing of the one before", async () => {
    const submitter = await Submitter.of(async (n: number) => {
      const fs = await import("node:fs");
      const os = await import("node:os");
      const found = [...fs.readdirSync("."), ...fs.readdirSync(os.tmpdir()), ...fs.readdirSync(os.homedir())];
      fs.mkdirSync("locked/inner", { recursive: true });
      fs.writeFileSync("locked/inner/file", String(n));
      fs.writeFileSync(`${os.tmpdir()}/temporary`, String(n));
      fs.chmodSync("locked/inner", 0);
      if (n === 1) process.chdir("/");
      return { found, cwd: process.cwd() };
    });
    const workRoot = scratch();
    const executor = start(submitter, {}, { workRoot });
    const end = await executor.run(submitter.job(0, [0], [1], [2]));
    const values = end.outcomes.map((outcome) => submitter.open(outcome).value as { found: string[]; cwd: string });
    expect(values.map(({ found }) => found)).toEqual([[], [], []]);
    expect(values[2]!.cwd).toBe(values[0]!.cwd);
    const [folder] = readdirSync(workRoot);
    expect(readdirSync(join(workRoot, folder!))).toEqual([]);
    await executor.stop();
    expect(readdirSync(workRoot)).toEqual([]);
  });

  test("sees none of the worker's environment but a few harmless names", async () => {
    process.env.HUMQ_TEST_SECRET = "the worker's own";
    const submitter = await Submitter.of(() => Object.keys(process.env));
    const end = await start(submitter, {}, { env: { EXTRA: "1" } }).run(submitter.job(0, []));
    const names = submitter.open(end.outcomes[0]!).value as string[];
    expect(names).toContain("EXTRA");
    expect(names).toContain("HOME");
    const own = names.filter((name) => /HUMQ|SECRET|TOKEN|VITEST/.test(name));
    expect(own).toEqual(isolation === "none" ? [MARK_VARIABLE] : []);
    delete process.env.HUMQ_TEST_SECRET;
  });

  test.skipIf(!existsSync("/proc/self/fd"))("child processes inherit none of the executor's pipes", async () => {
    const submitter = await Submitter.of(async () => {
      const { execFileSync } = await import("node:child_process");
      return execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
    });
    const end = await start(submitter).run(submitter.job(0, []));
    const listed = String(submitter.open(end.outcomes[0]!).value).matchAll(/ (\d+) -> (.+)$/gm);
    const targets = [...listed].filter(([, fd]) => Number(fd) > 2).map(([, , target]) => target);
    expect(targets.length).toBeGreaterThan(0);
    // ls's own, and what was put in the place of descriptors that the worker had from its parent.
    expect(targets.filter((target) => !/^\/proc\/\d+\/fd$|\.nothing \(deleted\)$/.test(target!))).toEqual([]);
  });

  test("a promise left rejected is its call's error, and the executor retires", async () => {
    const submitter = await Submitter.of((n: number) => {
      if (n === 0) void Promise.reject(new Error("left alone"));
      return n;
    });
    const executor = start(submitter);
    const [first, second] = await Promise.all([
      executor.run(submitter.job(0, [0])),
      executor.run(submitter.job(100, [1])),
    ]);
    expect(submitter.open(first.outcomes[0]!).error!.message).toBe("left alone");
    expect(second).toMatchObject({ state: "returned", outcomes: [] });
    expect(executor.accepting).toBe(false);
  });

  test("a timer that an earlier call left cannot fail a later one", async () => {
    const submitter = await Submitter.of(async (n: number) => {
      const shared = globalThis as { laterRuns?: boolean; thrown?: boolean };
      if (n === 0) {
        setInterval(() => {
          if (shared.laterRuns !== true || shared.thrown === true) return;
          shared.thrown = true;
          throw new Error("from the past");
        }, 5);
        return "left a timer";
      }
      shared.laterRuns = true;
      while (shared.thrown !== true) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return "untouched";
    });
    const executor = start(submitter);
    const [first, second] = await Promise.all([
      executor.run(submitter.job(0, [0])),
      executor.run(submitter.job(100, [1])),
    ]);
    expect(submitter.open(first.outcomes[0]!).value).toBe("left a timer");
    expect(submitter.open(second.outcomes[0]!).value).toBe("untouched");
    expect((await executor.ended).message).toBe("user code threw an error that nothing caught");
  });

  test("large arguments and results travel in parts", async () => {
    const submitter = await Submitter.of((bytes: Uint8Array, times: number) => {
      const result = new Uint8Array(bytes.length * times);
      for (let i = 0; i < times; i++) result.set(bytes, i * bytes.length);
      return result;
    });
    const executor = start(submitter, submitter.keepParts());
    const bytes = new Uint8Array(10_000_000).map((_, i) => i % 251);
    const end = await executor.run(submitter.jobInParts(0, [bytes, 3]));
    expect(end.outcomes[0]!.parts).toBe(Math.ceil(end.outcomes[0]!.parts));
    const value = submitter.open(end.outcomes[0]!).value as Uint8Array;
    expect(value.length).toBe(30_000_000);
    expect(Buffer.compare(value.subarray(20_000_000), bytes)).toBe(0);
    expect(end.outcomes[0]!.parts).toBeGreaterThan(50);
  });

  test("a large error travels in parts too", async () => {
    const submitter = await Submitter.of(() => {
      throw new Error("x".repeat(2_000_000));
    });
    const end = await start(submitter, submitter.keepParts()).run(submitter.job(0, []));
    expect(submitter.open(end.outcomes[0]!).error!.message).toHaveLength(2_000_000);
  });

  test("a part that cannot be stored ends the executor, not the worker", async () => {
    const submitter = await Submitter.of(() => new Uint8Array(5_000_000));
    const executor = start(submitter, { onResultPart: async () => Promise.reject(new Error("disk full")) });
    const end = await executor.run(submitter.job(0, []));
    expect(end).toMatchObject({
      state: "crashed",
      cause: { kind: "killed", message: "a part of the result of call 0 could not be stored: disk full" },
    });
  });

  test("arguments that stop half way give the job back", async () => {
    const submitter = await Submitter.of((bytes: Uint8Array) => bytes.length);
    const executor = start(submitter);
    const job = submitter.jobInParts(0, [new Uint8Array(2_000_000)]);
    const read = async function* (): AsyncGenerator<Uint8Array> {
      for await (const part of job.parts!.read()) {
        yield part;
        throw new Error("gone");
      }
    };
    const end = await executor.run({ ...job, parts: { count: job.parts!.count, read } });
    expect(end).toMatchObject({ state: "returned", reason: "the arguments did not come: gone" });
    expect((await executor.run(submitter.job(100, [new Uint8Array(3)]))).state).toBe("done");
  });

  test("withdraw() takes back what is not started, also behind an endless loop", async () => {
    const submitter = await Submitter.of((n: number) => {
      console.log(n);
      if (n === 0) for (;;);
    });
    const looping = Promise.withResolvers<void>();
    const executor = start(submitter, { onOutput: () => looping.resolve() });
    const first = executor.run(submitter.job(0, [0]));
    const others = [1, 2, 3].map((n) => executor.run(submitter.job(n * 100, [n])));
    await looping.promise;
    await executor.withdraw();
    expect((await Promise.all(others)).map(({ state }) => state)).toEqual(["returned", "returned", "returned"]);
    executor.kill("enough");
    expect((await first).state).toBe("crashed");
  });

  test("nothing that a call started outlives the executor", async () => {
    const submitter = await Submitter.of(async (marker: string) => {
      const { spawn } = await import("node:child_process");
      spawn("sleep", [marker], { stdio: "ignore" }).unref();
      return "left a child";
    });
    const marker = `9${Date.now()}`;
    const executor = start(submitter);
    await executor.run(submitter.job(0, [marker]));
    expect(pidsOf(marker)).toHaveLength(1);
    await executor.stop();
    await expect.poll(() => pidsOf(marker)).toEqual([]);
  });
});

function pidsOf(argument: string): string[] {
  return processes(({ pid }) => read(`/proc/${pid}/cmdline`).split("\0").includes(argument));
}

function processes(matches: (process: { pid: string }) => boolean): string[] {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && matches({ pid }));
}

/** Empty where the process is gone by now. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
