/** task(), calls, submit() and result(), as scripts use them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BrokerError, InstanceError, Tag, task } from "../../core/index.ts";
import { startEmbedded } from "../../core/instance/up.ts";
import { ROOT } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { runProgram, withoutProgress } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { temporaryDirectory } from "../support/tools.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ slots: 2 });
});
afterAll(() => instance?.stop());

describe("in one process", () => {
  test("calls are recorded, sent, run and come back in order", async () => {
    const costly = task(async function costly(a: number, b: number) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return a * b;
    });
    const calls = [costly(6, 7), costly(2, 3), costly(-1, 5)];
    expect(costly.recorded).toBe(3);
    using tag = await costly.submit();
    expect(costly.recorded).toBe(0);
    expect(tag.name).toMatch(/^costly_[0-9a-f-]{36}$/);
    expect(tag.length).toBe(3);
    expect(await Promise.all(calls.map((call) => call.result()))).toEqual([42, 6, -5]);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([42, 6, -5]);
    expect([tag.nResults, tag.nErrors]).toEqual([3, 0]);
  });

  test("a call's result throws what the call threw, and results do not wait for other calls", async () => {
    const pick = task(async (ms: number) => {
      if (ms < 0) throw new RangeError(`no negative time: ${ms}`, { cause: "asked for it" });
      await new Promise((resolve) => setTimeout(resolve, ms));
      return ms;
    });
    const [bad, quick, endless] = [pick(-1), pick(1), pick(3_600_000)];
    using tag = await pick.submit();
    await expect(bad.result()).rejects.toMatchObject({
      name: "RangeError",
      message: "no negative time: -1",
      cause: "asked for it",
    });
    expect(await quick.result()).toBe(1);
    expect(await tag.result(1)).toBe(1);
    await expect(tag.result(3)).rejects.toThrow(`${tag.name} has calls 0 to 2, got 3`);
    expect(endless.index).toBe(2);
    expect(await tag.pull()).toBe(1);
    expect((await tag.status()).running).toBe(1);
  });

  test("one function can be submitted again and again, also while a submit is under way", async () => {
    const tenfold = task((x: number) => 10 * x);
    tenfold(1);
    const first = tenfold.submit({ tag: "first" });
    const later = tenfold(2);
    expect(later.index).toBe(0);
    const second = tenfold.submit({ tag: "second" });
    const [a, b] = await Promise.all([first, second]);
    expect([a.length, b.length]).toEqual([1, 1]);
    expect(await later.result()).toBe(20);
    await a.pull({ blocking: true });
    expect(await collect(a.results())).toEqual([10]);
    await expect(tenfold.submit()).rejects.toThrow(
      "nothing to submit: task was not called since the last submit. Call it first, once for each set of arguments.",
    );
    for (const tag of [a, b]) tag.close();
  });

  test("arguments are taken when the call is made", async () => {
    const echo = task((value: { n: number; list: number[] }) => value);
    const value = { n: 1, list: [1] };
    const call = echo(value);
    value.n = 2;
    value.list.push(2);
    using _tag = await echo.submit();
    expect(await call.result()).toEqual({ n: 1, list: [1] });
  });

  test("frozen arguments fill in for those a call leaves out", async () => {
    const table = Array.from({ length: 10_000 }, (_, i) => i);
    const look = task((at: number, values: readonly number[], scale: number) => (values[at] ?? -1) * scale, {
      defaults: { values: table, scale: 2 },
    });
    const calls = [look(3), look(9_999)];
    using tag = await look.submit();
    expect(await Promise.all(calls.map((call) => call.result()))).toEqual([6, 19_998]);
    expect(tag.name).toMatch(/^task_/);
  });

  test("a task inside a task runs there as the plain function", async () => {
    const inner = task(function inner(x: number) {
      return x + 1;
    });
    const outer = task(function outer(x: number) {
      return (inner as unknown as (x: number) => number)(x) * 10;
    });
    const call = outer(1);
    using _tag = await outer.submit();
    expect(await call.result()).toBe(20);
    expect(inner.recorded).toBe(0);
  });

  test("a submit that fails keeps the record, before what was called meanwhile", async () => {
    const near = task((x: number) => x);
    const [a, b] = [near(1), near(2)];
    const failing = near.submit({ datacenters: ["lokal"] });
    const c = near(3);
    await expect(failing).rejects.toThrow(
      'no datacenter "lokal" serves you (those that do: local). Did you mean local?',
    );
    expect(near.recorded).toBe(3);
    expect([a.index, b.index, c.index]).toEqual([0, 1, 2]);
    using tag = await near.submit();
    expect(await Promise.all([a, b, c].map((call) => call.result()))).toEqual([1, 2, 3]);
    expect(tag.length).toBe(3);
  });

  test("code that cannot travel is an error at submit, and keeps the record", async () => {
    const weak = new WeakMap();
    const bad = task((key: object) => weak.has(key));
    bad({});
    await expect(bad.submit()).rejects.toMatchObject({ name: "CaptureError", code: "capture" });
    expect(bad.recorded).toBe(1);
  });
});

describe("without a broker", () => {
  test("an instance that is not known here: the record stays", async () => {
    using home = temporaryDirectory("humq empty ");
    const before = process.env.HUMQ_HOME;
    const near = task((x: number) => x);
    near(1);
    process.env.HUMQ_HOME = home.path;
    try {
      const failed = await near.submit().catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(InstanceError);
      expect((failed as Error).message).toBe(
        `no instance is known in ${home.path}. Start one here (humq up) or join one (humq request LINK).`,
      );
    } finally {
      process.env.HUMQ_HOME = before;
    }
    expect(near.recorded).toBe(1);
    await expect(near.submit({ instance: "elsewhere" })).rejects.toThrow(
      `there is no instance "elsewhere" in ${before} (known: local). Start one here (humq up) or join one (humq request LINK).`,
    );
    using tag = await near.submit();
    expect(await tag.result(0)).toBe(1);
  });

  test("an instance that is down: the record stays, and goes when it is up", async () => {
    const near = task((x: number) => x + 1);
    const call = near(1);
    const down = await startEmbedded({ instance: "down", worker: false });
    const { url } = down.server;
    await down.stop();
    const failed = await near.submit({ instance: "down" }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(BrokerError);
    expect((failed as Error).message).toMatch(
      new RegExp(`^cannot reach the broker at ${url}: .*\\. Is it running, and is the address right\\?$`),
    );
    expect(near.recorded).toBe(1);
    const up = await startEmbedded({ instance: "down", slots: 1 });
    try {
      using _tag = await near.submit({ instance: "down" });
      expect(await call.result()).toBe(2);
    } finally {
      await up.stop();
    }
  });
});

const SCRIPT = `
import { task } from "humq";
import { scale } from "./scale.ts";
const costly = task(async function costly(a: number, b: number): Promise<{ product: number }> {
  return { product: scale(a * b) };
});
for (let i = 0; i < 5; i++) costly(i, i + 1);
const tag = await costly.submit();
console.log("submitted", tag.length);
console.log("open", await tag.pull({ blocking: true }));
for await (const r of tag.results()) console.log(JSON.stringify(r));
`;
const HELPER = "export const factor = 10;\nexport function scale(x: number): number { return x * factor; }\n";
const SCRIPT_OUTPUT = `submitted 5
open 0
{"product":0}
{"product":20}
{"product":60}
{"product":120}
{"product":200}
`;

describe("as a script", () => {
  test.each(["node", "tsx"] as const)(
    "with %s: runs, prints and exits by itself, with nothing else on stderr",
    async (runner) => {
      using project = temporaryProject({ "scale.ts": HELPER, "work.ts": SCRIPT });
      const done = await project.run("work.ts", { runner, env: instance.env });
      expect(withoutProgress(done)).toEqual({ code: 0, signal: null, stdout: SCRIPT_OUTPUT, stderr: "" });
    },
  );

  test("one that only submits ends by itself, and another finds its tag", async () => {
    using project = temporaryProject({
      "work.ts": `
        import { task } from "humq";
        const double = task((x: number) => 2 * x);
        for (let i = 0; i < 3; i++) double(i);
        console.log((await double.submit({ tag: "left-alone" })).name);`,
    });
    const done = await project.run("work.ts", { env: instance.env });
    expect(done).toMatchObject({ code: 0, stderr: "" });
    using tag = await Tag.fromQueue<number>(done.stdout.trim());
    await tag.pull({ blocking: true });
    expect(await collect(tag.results())).toEqual([0, 2, 4]);
  });

  test("an error that nobody catches is shown, and the exit code is 1", async () => {
    using project = temporaryProject({
      "work.ts": `
        import { task } from "humq";
        const double = task((x: number) => { if (x > 1) throw new TypeError("too much: " + x); return x; });
        const calls = [double(1), double(2)];
        await double.submit();
        console.log(await calls[0].result());
        console.log(await calls[1].result());`,
    });
    const done = await project.run("work.ts", { env: instance.env });
    expect(done.code).toBe(1);
    expect(done.stdout).toBe("1\n");
    expect(done.stderr).toContain("TypeError: too much: 2");
    expect(done.stderr).toMatch(/work\.ts:3:\d+/);
  });

  test("a wrong option is an error whose first line says all", async () => {
    using project = temporaryProject({
      "work.mjs": `
        import { task } from "humq";
        const double = task((x) => 2 * x);
        double(1);
        await double.submit({ chunksize: 4 });`,
    });
    const done = await project.run("work.mjs", { env: instance.env });
    expect(done.code).toBe(1);
    expect(done.stderr).toContain(
      'UsageError: unknown submit option "chunksize": did you mean "chunkSize"? Known: tag, chunkSize, datacenters, ' +
        "packages, cpus, timeLimit, timeRequest, memory, priority, attempts, maxLosses, concurrency, retention, resume, quiet, instance.",
    );
  });

  test("CommonJS works too", async () => {
    using project = temporaryProject({
      "work.cjs": `
        const { task } = require("humq");
        const double = task((x) => 2 * x);
        const call = double(21);
        double.submit().then(() => call.result()).then(console.log);`,
    });
    const done = await project.run("work.cjs", { env: instance.env });
    expect(done).toEqual({ code: 0, signal: null, stdout: "42\n", stderr: "" });
  });
});

const DECORATED = `
import { task } from "humq";

class Work {
  static factor = 3;

  @task
  static triple(x: number): number {
    return this.factor * x;
  }
}

const triple = task(Work.triple);
const calls = [triple(2), triple(7)];
const tag = await triple.submit();
console.log(tag.name.replace(/_.*/, ""), await Promise.all(calls.map((call) => call.result())));
`;

describe("the decorator", () => {
  test("runs with tsx", async () => {
    using project = temporaryProject({ "work.ts": DECORATED });
    const done = await project.run("work.ts", { runner: "tsx", env: instance.env });
    expect(done).toEqual({ code: 0, signal: null, stdout: "triple [ 6, 21 ]\n", stderr: "" });
  });

  test("runs compiled by tsc", async () => {
    const compilerOptions = { target: "es2022", module: "nodenext", strict: true, skipLibCheck: true, outDir: "out" };
    using project = temporaryProject({
      "work.ts": DECORATED,
      "tsconfig.json": JSON.stringify({ compilerOptions, files: ["work.ts"] }),
    });
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const compiled = await runProgram(process.execPath, [tsc, "-p", "."], { cwd: project.path });
    expect(compiled.stdout).toBe("");
    expect(readFileSync(join(project.path, "out", "work.js"), "utf8")).toContain("__esDecorate");
    const done = await project.run("out/work.js", { env: instance.env });
    expect(done).toEqual({ code: 0, signal: null, stdout: "triple [ 6, 21 ]\n", stderr: "" });
  });

  test("of anything but a static method is refused", async () => {
    using project = temporaryProject({ "work.ts": DECORATED.replace("@task\n  static", "@task\n ") });
    const done = await project.run("work.ts", { runner: "tsx", env: instance.env });
    expect(done.code).toBe(1);
    expect(done.stderr).toContain("UsageError: @task decorates static methods: triple is not one. Make it static.");
  });
});
