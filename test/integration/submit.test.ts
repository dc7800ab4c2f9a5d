/** The options of a submit: what is stored, what it means, what is refused. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { StreamReader } from "../../core/broker/read.ts";
import { Client, type Tag, task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { openTag } from "../../core/tag/access.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { until } from "../support/until.ts";

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ slots: 2 });
});
afterAll(() => instance?.stop());

/** What the broker holds of a tag, its signatures checked. */
function stored(tag: { name: string }) {
  return withSession(undefined, (session) => openTag(session, tag.name));
}

describe("the signed manifest", () => {
  test("holds every option", async () => {
    const work = task(function work() {});
    work();
    using tag = await work.submit({
      tag: "night",
      chunkSize: 7,
      datacenters: ["local"],
      packages: ["left-pad@1.3.0"],
      cpus: 3,
      timeLimit: "1h30m",
      priority: -12,
      attempts: 4,
      concurrency: 9,
      quiet: true,
    });
    const { manifest, options, closing } = await stored(tag);
    expect(options).toMatchObject({
      taskName: "work",
      chunkSize: 7,
      packages: ["left-pad@1.3.0"],
      cpus: 3,
      timeLimitMs: 5_400_000,
      priority: -12,
      attempts: 4,
      concurrency: 9,
    });
    expect(tag.name).toMatch(/^night_/);
    expect(manifest.datacenters).toEqual(["local"]);
    expect(manifest.notAfterMs).toBeGreaterThan(manifest.createdMs);
    expect(closing).toMatchObject({ calls: 1, messages: 1 });
  });

  test("says what an option is where it is left out", async () => {
    const work = task(function work() {});
    work();
    using tag = await work.submit();
    const { manifest, options } = await stored(tag);
    const defaults = { chunkSize: 1, packages: [], cpus: 1, timeLimitMs: 0, priority: 0, attempts: 1, concurrency: 0 };
    expect(options).toMatchObject(defaults);
    expect(manifest.datacenters).toEqual(["local"]);
  });

  test("names no code that is stored twice", async () => {
    const scale = 3;
    const work = task((x: number) => x * scale);
    const names: string[] = [];
    for (let i = 0; i < 2; i++) {
      work(i);
      using tag = await work.submit();
      names.push((await stored(tag)).manifest.code.name);
    }
    expect(names[0]).toBe(names[1]);
    const parts = await withSession(undefined, async (session) => {
      const u = shortUser(session.identity.user);
      const reader = await StreamReader.open(session.nc);
      return collect(reader.all(streamOf.functions(u), subjectOf.functionPart(u, names[0]!)));
    });
    expect(parts).toHaveLength(1);
  });
});

describe("chunkSize", () => {
  test("10 calls in chunks of 4: three messages, every index has its own outcome, also beside errors", async () => {
    const inverse = task((x: number) => {
      console.log(`call with ${x}`);
      if (x === 5) throw new RangeError("five");
      if (x === 6) return Symbol("six") as unknown as number;
      return -x;
    });
    for (let i = 0; i < 10; i++) inverse(i);
    using tag = await inverse.submit({ chunkSize: 4 });
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([-0, -1, -2, -3, -4, null, null, -7, -8, -9]);
    const errors = await collect(tag.errors());
    expect(errors.map(({ index, state, error }) => [index, state, error.name])).toEqual([
      [5, "failed", "RangeError"],
      [6, "failed", "UnsupportedValueError"],
    ]);
    expect((await stored(tag)).closing).toMatchObject({ calls: 10, messages: 3 });
    for (const index of [0, 3, 4, 5, 9]) {
      expect(await tag.log(index)).toMatchObject([{ stream: "stdout", text: `call with ${index}\n` }]);
    }
  });

  test("a call that ends its process costs nobody else in its chunk", async () => {
    const work = task((x: number) => {
      if (x === 2) process.exit(3);
      return x;
    });
    for (let i = 0; i < 6; i++) work(i);
    using tag = await work.submit({ chunkSize: 100 });
    await tag.pull({ blocking: true, quiet: true });
    expect(await collect(tag.results())).toEqual([0, 1, null, 3, 4, 5]);
    const [{ index, error } = { index: -1, error: new Error() }] = await collect(tag.errors());
    expect([index, error.message]).toEqual([2, "the process exited with code 3 before the call ended"]);
  });

  test("large arguments in a chunk travel as well", async () => {
    const size = task((bytes: Uint8Array) => bytes.length);
    for (let i = 0; i < 5; i++) size(new Uint8Array(200_000 + i));
    using tag = await size.submit({ chunkSize: 5 });
    await tag.pull({ blocking: true, quiet: true });
    expect(await collect(tag.results())).toEqual([200_000, 200_001, 200_002, 200_003, 200_004]);
  });
});

describe("what runs side by side", () => {
  const spans = async (tag: Tag<[number, number]>) => {
    await tag.pull({ blocking: true, quiet: true });
    return (await collect(tag.results())).map((span) => span!).sort((a, b) => a[0] - b[0]);
  };
  const span = async (ms: number): Promise<[number, number]> => {
    const start = Date.now();
    await new Promise((resolve) => setTimeout(resolve, ms));
    return [start, Date.now()];
  };

  test("calls of a tag fill both slots", async () => {
    await using gate = await Gate.start();
    const work = task(async (url: string) => (await fetch(url)).text());
    for (let i = 0; i < 4; i++) work(`${gate.url}/${i}`);
    using tag = await work.submit();
    await until(
      "two calls to run at once",
      () => gate.waiting,
      (waiting) => waiting === 2,
    );
    gate.open(0, 1, 2, 3);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(["go", "go", "go", "go"]);
  });

  test.each([{ concurrency: 1 }, { cpus: 2 }])("with %o one runs after the other", async (options) => {
    const work = task(span);
    for (let i = 0; i < 5; i++) work(30);
    using tag = await work.submit(options);
    const ran = await spans(tag);
    expect(ran).toHaveLength(5);
    for (const [i, [start]] of ran.entries()) if (i > 0) expect(start).toBeGreaterThanOrEqual(ran[i - 1]![1]);
  });

  test("calls that need more slots than the worker has are not run", async () => {
    const work = task(() => 1);
    work();
    using big = await work.submit({ cpus: 3 });
    work();
    using small = await work.submit({ cpus: 2 });
    expect(await small.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await big.pull()).toBe(1);
    expect(await big.status()).toMatchObject({ calls: 1, pending: 1, running: 0, succeeded: 0, errors: 0 });
  });
});

describe("datacenters", () => {
  test.each<[string[], string]>([
    [["locla"], 'no datacenter "locla" serves you (those that do: local). Did you mean local?'],
    [["local", "mars"], 'no datacenter "mars" serves you (those that do: local)'],
  ])("%j", async (datacenters, message) => {
    const work = task(() => 1);
    work();
    await expect(work.submit({ datacenters })).rejects.toMatchObject({ name: "UsageError", message });
  });
});

describe("calls that an iterable gives", () => {
  const sum = () => task((a: number, b: number) => a + b);

  test("are sent with those recorded before them, in chunks that are whole", async () => {
    const work = sum();
    for (let i = 0; i < 5; i++) work(i, 1);
    let closed = false;
    function* rest(): Generator<[number, number]> {
      try {
        for (let i = 5; i < 1000; i++) yield [i, 1];
      } finally {
        closed = true;
      }
    }
    using tag = await work.submit(rest(), { chunkSize: 7, quiet: true });
    expect([tag.length, work.recorded, closed]).toEqual([1000, 0, true]);
    expect(await stored(tag)).toMatchObject({ closing: { calls: 1000, messages: 143 } });
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(tag.results())).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  });

  test("may come late, be few, and hold large arguments", async () => {
    const work = task((text: string) => text.length);
    async function* texts(): AsyncGenerator<[string]> {
      for (const length of [3, 400_000, 0]) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        yield ["x".repeat(length)];
      }
    }
    using tag = await work.submit(texts(), { quiet: true });
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    expect(await collect(tag.results())).toEqual([3, 400_000, 0]);
  });

  test("are not taken ahead of what is sent", async () => {
    const work = sum();
    const pulled: number[] = [];
    let given = 0;
    function* many(): Generator<[number, number]> {
      for (; given < 20_000; given++) {
        if (given % 1000 === 0) pulled.push(work.recorded);
        yield [given, 0];
      }
    }
    const submitted = work.submit(many(), { quiet: true });
    work(1, 1);
    using tag = await submitted;
    expect([tag.length, given]).toEqual([20_000, 20_000]);
    // What is called meanwhile belongs to the next submit.
    expect(new Set(pulled.slice(1))).toEqual(new Set([1]));
    work.discard();
  });

  const after = async function* (calls: number, last: () => unknown): AsyncGenerator<[number, number]> {
    for (let i = 0; i < calls; i++) yield [i, 0];
    yield last() as [number, number];
  };
  const failing = () => {
    throw new RangeError("no more numbers");
  };
  test.each([
    ["fails itself, soon", 3, failing, { name: "RangeError", message: "no more numbers" }],
    ["fails itself, late", 5000, failing, { name: "RangeError", message: "no more numbers" }],
    [
      "gives no list",
      2000,
      () => 7,
      { name: "UsageError", message: 'call 2001: expected an array of arguments such as [1, "x"], got 7' },
    ],
    [
      "gives what cannot travel",
      2000,
      () => [1, { socket: () => undefined }],
      {
        name: "UnsupportedValueError",
        path: "call 2001, argument 2, .socket",
        message: expect.stringMatching(/^call 2001, argument 2, \.socket: a function cannot travel as a value/),
      },
    ],
  ])("leave nothing behind where what gives them %s", async (_name, calls, last, expected) => {
    const work = task(function failed(a: number, b: number) {
      return a + b;
    });
    work(1, 2);
    await expect(work.submit(after(calls, last), { quiet: true })).rejects.toMatchObject(expected);
    // Recorded ones are recorded again.
    expect(work.recorded).toBe(1);
    await using client = await Client.open();
    expect((await client.tags()).filter(({ tag }) => tag.startsWith("failed"))).toEqual([]);
    work.discard();
  });

  test("must be some", async () => {
    const work = sum();
    await expect(work.submit([])).rejects.toThrow("nothing to submit: no calls of ");
    // @ts-expect-error what the compiler refuses is refused without it as well
    await expect(work.submit(function* () {})).rejects.toThrow("a generator function is called first");
    // @ts-expect-error calls that are not there yet
    await expect(work.submit(Promise.resolve([[1]]))).rejects.toThrow('got a promise: put "await" in front of it');
  });
});

const BAR_SCRIPT = `
import { task } from "humq";
const double = task((x) => 2 * x);
for (let i = 0; i < 20; i++) double(i);
const quiet = process.argv[2] === "quiet";
const tag = await double.submit({ quiet });
await tag.pull({ blocking: true, quiet });
console.log("done");
`;
const PTY = "/usr/bin/script";

describe("on a terminal", () => {
  const onTerminal = (path: string, command: string) =>
    runProgram(PTY, ["-qec", command, "/dev/null"], { cwd: path, env: { ...instance.env, TERM: "xterm" } });

  test.skipIf(!existsSync(PTY))("submit and pull show how far they are, unless quiet", async () => {
    using project = temporaryProject({ "work.mjs": BAR_SCRIPT });
    const shown = await onTerminal(project.path, `${process.execPath} work.mjs`);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/submit [█░]+ 20\/20 calls/);
    expect(shown.stdout).toMatch(/pull [█░]+ 20\/20 calls/);
    const quiet = await onTerminal(project.path, `${process.execPath} work.mjs quiet`);
    expect(quiet.stdout.trim()).toBe("done");
  });

  test("elsewhere they show nothing", async () => {
    using project = temporaryProject({ "work.mjs": BAR_SCRIPT });
    const done = await project.run("work.mjs", { env: instance.env });
    expect(done).toEqual({ code: 0, signal: null, stdout: "done\n", stderr: "" });
  });
});
