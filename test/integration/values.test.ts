/** What goes through a worker and back: every value that travels, errors, large values. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { withoutProgress } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
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

const shared = { here: "once" };
const cycle: Record<string, unknown> = { name: "cycle" };
cycle.self = cycle;
const sparse: unknown[] = [1];
sparse[5] = 6;

const VALUES: Record<string, unknown> = {
  integers: [0, 1, -1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 60],
  floats: [0.1, -1.5, 1e308, 5e-324, Number.EPSILON, 1 / 3],
  "special numbers": [Number.NaN, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  bigints: [0n, -1n, 2n ** 63n, 2n ** 64n, -(2n ** 64n) - 1n, 3n ** 500n],
  strings: ["", "a", "grüße", "数", "😀", "a\0b", "\ud800 lone", "x".repeat(100_000)],
  "null and undefined": [null, undefined, { a: undefined }],
  booleans: [true, false],
  dates: [new Date(0), new Date(1_763_600_000_123), new Date(Number.NaN), new Date(-1)],
  maps: new Map<unknown, unknown>([
    ["a", 1],
    [2, new Map([[{ deep: true }, [1n]]])],
    [null, undefined],
  ]),
  sets: new Set<unknown>([1, "1", Number.NaN, new Set([2])]),
  "regular expressions": [/a(b)?/giu, /\//, /[\u{1F600}]/v],
  buffers: [Buffer.from("héllo"), Buffer.alloc(0)],
  "array buffers": new Uint8Array([1, 2, 3]).buffer,
  "typed arrays": [
    new Int8Array([-1, 2]),
    new Uint8Array([1, 255]),
    new Uint8ClampedArray([3]),
    new Int16Array([-300]),
    new Uint16Array([60_000]),
    new Int32Array([-70_000]),
    new Uint32Array([4_000_000_000]),
    new Float32Array([1.5, Number.NaN]),
    new Float64Array([Math.PI, -0]),
    new BigInt64Array([-5n]),
    new BigUint64Array([2n ** 63n]),
    new DataView(new Uint8Array([9, 8]).buffer),
  ],
  nested: { a: [{ b: { c: [[[]]] } }], "": { "key with space": 1 }, 5: "five" },
  "shared references": [shared, shared, { again: shared }],
  cycles: cycle,
  "sparse arrays": sparse,
  errors: [
    new TypeError("typed", { cause: new RangeError("why") }),
    new AggregateError([new Error("one"), 2], "several"),
    Object.assign(new Error("with"), { code: "E_MORE", detail: { a: 1 } }),
  ],
  "a key called __proto__": JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'),
};

describe("a value goes there and comes back as it was", () => {
  // Made once: 22 names, 22 calls, one tag.
  const returned = new Map<string, unknown>();
  beforeAll(async () => {
    const echo = task(function echo(value: unknown): unknown {
      return value;
    });
    for (const value of Object.values(VALUES)) echo(value);
    using tag = await echo.submit();
    await tag.pull({ blocking: true, quiet: true });
    expect((await collect(tag.errors())).map(({ index, error }) => `${index}: ${error.message}`)).toEqual([]);
    const results = await collect(tag.results());
    for (const [i, name] of Object.keys(VALUES).entries()) returned.set(name, results[i]);
  });

  test.each(Object.keys(VALUES))("%s", (name) => {
    expect(returned.get(name)).toStrictEqual(VALUES[name]);
  });

  test("and is of the same kind", () => {
    const [buffer] = returned.get("buffers") as unknown[];
    expect(Buffer.isBuffer(buffer)).toBe(true);
    const back = returned.get("cycles") as typeof cycle;
    expect(back.self).toBe(back);
    const [one, two, three] = returned.get("shared references") as [object, object, { again: object }];
    expect(two).toBe(one);
    expect(three.again).toBe(one);
    expect(Object.is((returned.get("special numbers") as number[])[1], -0)).toBe(true);
    expect(2 in (returned.get("sparse arrays") as object)).toBe(false);
    expect(Object.keys(returned.get("a key called __proto__") as object)).toEqual(["__proto__", "constructor"]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect((returned.get("errors") as Error[])[0]!.cause).toBeInstanceOf(RangeError);
  });

  test("the worker saw the same", async () => {
    const look = task((value: Map<string, unknown>, bytes: Uint8Array, date: Date, big: bigint) => [
      value instanceof Map && value.get("a"),
      bytes instanceof Uint8Array && bytes.length,
      date instanceof Date && date.getTime(),
      typeof big,
    ]);
    const call = look(new Map([["a", 1]]), new Uint8Array(7), new Date(5), 1n);
    using _tag = await look.submit();
    expect(await call.result()).toEqual([1, 7, 5, "bigint"]);
  });
});

const THROWING = `
import { task } from "humq";
class NoConvergence extends Error {
  name = "NoConvergence";
  iterations = 40;
}
function deep(x: number): never {
  throw new NoConvergence("does not converge at " + x, { cause: new RangeError("step 7") });
}
const work = task(async function work(how: number) {
  await Promise.resolve();
  if (how === 0) deep(3);
  if (how === 1) throw "only text";
  if (how === 2) throw { code: 7 };
  if (how === 3) throw undefined;
  if (how === 4) return { fine: 1, handlers: [1, () => 2] };
  if (how === 5) return new WeakMap();
  if (how === 6) await Promise.any([Promise.reject(new Error("a")), Promise.reject(new Error("b"))]);
  if (how === 7) setImmediate(() => { throw new Error("from a timer"); });
  if (how === 7) await new Promise(() => {});
  return "fine";
});
for (let how = 0; how < 9; how++) work(how);
const tag = await work.submit();
await tag.pull({ blocking: true });
for await (const { index, state, error } of tag.errors()) {
  const { name, message, cause, stack, iterations, errors } = error as Error & Record<string, unknown>;
  console.log(JSON.stringify({ index, state, name, message, cause: cause instanceof Error ? cause.message : cause, stack, iterations, errors: (errors as Error[])?.map((e) => e.message) }));
}
console.log(tag.nResults, tag.nErrors);
`;

describe("what a call throws", () => {
  test("comes back with message, cause and the place in the user's file", async () => {
    using project = temporaryProject({ "work.ts": THROWING });
    const done = await project.run("work.ts", { env: instance.env });
    expect(withoutProgress(done)).toMatchObject({ code: 0, stderr: "" });
    const lines = done.stdout.trim().split("\n");
    expect(lines.pop()).toBe("1 8");
    const errors = lines.map((line) => JSON.parse(line) as Record<string, unknown> & { stack?: string });
    expect(errors.map(({ index, state }) => [index, state])).toEqual(
      Array.from({ length: 8 }, (_, index) => [index, "failed"]),
    );
    const [own, text, object, nothing, handlers, weak, several, timer] = errors;
    expect(own).toMatchObject({
      name: "NoConvergence",
      message: "does not converge at 3",
      cause: "step 7",
      iterations: 40,
    });
    // Line and column of `new NoConvergence`, in the function that threw, and of its caller.
    expect(own!.stack).toMatch(/at deep \(.*work\.ts:8:9\)[\s\S]*at (async )?work \(.*work\.ts:12:\d+\)/);
    expect(text).toMatchObject({ name: "Error", cause: "only text" });
    expect(text!.message).toBe("something that is not an Error was thrown: 'only text'");
    expect(object).toMatchObject({ name: "Error", cause: { code: 7 } });
    expect(nothing!.message).toBe("something that is not an Error was thrown: undefined");
    expect(handlers).toMatchObject({ name: "UnsupportedValueError" });
    expect(handlers!.message).toMatch(/^result, \.handlers\[1\]: /);
    expect(weak!.message).toMatch(/^result: a WeakMap cannot travel/);
    expect(several).toMatchObject({ name: "AggregateError", errors: ["a", "b"] });
    expect(timer).toMatchObject({ name: "Error", message: "from a timer" });
  });
});

describe("what cannot travel is told at the call", () => {
  test.each<[string, unknown, RegExp]>([
    ["a function", { config: { on: () => 1 } }, /^argument 2, \.config\.on: /],
    ["a symbol", [1, Symbol("s")], /^argument 2, \[1\]: /],
    ["a promise", { later: Promise.resolve(1) }, /^argument 2, \.later: a promise cannot travel; await it first$/],
    [
      "a socket",
      { config: { socket: new EventTarget() } },
      /^argument 2, \.config\.socket: a EventTarget cannot travel/,
    ],
  ])("%s", (_, value, message) => {
    const work = task((_a: number, _b: unknown) => 1);
    expect(() => work(1, value)).toThrow(message);
    expect(work.recorded).toBe(0);
  });
});

describe("large values", () => {
  test("a 50 MB argument and a 200 MB result go through, and the worker's memory stays bounded", async () => {
    const grow = task((bytes: Uint8Array, times: number): Uint8Array => {
      const result = new Uint8Array(bytes.length * times);
      for (let i = 0; i < times; i++) result.set(bytes, i * bytes.length);
      return result;
    });
    const argument = new Uint8Array(50 * 2 ** 20);
    for (let i = 0; i < argument.length; i += 4093) argument[i] = i % 251;
    const call = grow(argument, 4);
    using tag = await grow.submit({ quiet: true });
    const result = await call.result();
    expect(result.length).toBe(200 * 2 ** 20);
    const digest = (...parts: Uint8Array[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");
    expect(digest(result)).toBe(digest(argument, argument, argument, argument));
    expect(tag.nResults).toBe(1);
    expect(worker.peakBytes).toBeLessThan(400 * 2 ** 20);
  });

  test("large errors too", async () => {
    const fail = task((length: number) => {
      throw new Error("x".repeat(length));
    });
    const call = fail(2_000_000);
    using _tag = await fail.submit();
    const error = await call.result().catch((thrown: Error) => thrown);
    expect((error as unknown as Error).message.length).toBe(2_000_000);
  });
});
