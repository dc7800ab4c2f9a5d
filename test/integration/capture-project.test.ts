import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadCode } from "../../core/capture/load.ts";
import { Project } from "../fixtures/capture/ways.ts";

const run = promisify(execFile);
const REPOSITORY = resolve(import.meta.dirname, "../..");
const CAPTURE = join(REPOSITORY, "core/capture/index.ts");

/** A script that captures `fn` and writes the code to standard output in base64. */
function script(body: string, options = "{}"): string {
  return `import { capture } from ${JSON.stringify(CAPTURE)};
${body}
const captured = await capture(fn, ${options}).catch((error) => ({ error }));
console.log(captured.error ? captured.error.name + ": " + captured.error.message : Buffer.from(captured.code).toString("base64"));
`;
}

async function output(file: string, args: string[] = [], env: Record<string, string> = {}): Promise<string> {
  const options = { env: { ...process.env, NODE_OPTIONS: "", ...env }, maxBuffer: 2 ** 28 };
  const { stdout } = await run(process.execPath, [...args, file], options);
  return stdout.trim();
}

const captured = async (file: string, args?: string[], env?: Record<string, string>): Promise<Buffer> =>
  Buffer.from(await output(file, args, env), "base64");

const USES_ALL = `
import { add, Vector } from "esm-lib";
import { mean } from "simple-statistics";
import twice, { count } from "./state.ts";
const vector = new Vector(1, 2);
const table = new Map([["a", new Float64Array([1, 2])]]);
class Local { #x = 1; get x() { return this.#x; } }
const local = new Local();
const fn = (n: number): unknown => [add(n, count()), vector.length, mean([1]), twice(1), table.get("a"), local.x];
`;

let project: Project;
let copy: Project;
beforeAll(async () => {
  const files = {
    "all.ts": script(USES_ALL),
    "shaken.ts": script('import { add } from "esm-lib";\nconst fn = (a: number) => add(a, 1);'),
    "plain.ts": script("const fn = (a: number) => a + 1;"),
    "secret.ts": script(
      "const unused = 'MARKER_OF_AN_UNUSED_VARIABLE'; const used = 1; const fn = () => used; void unused;",
    ),
    "large.ts": script(
      "const values = new Float64Array(6_553_600).map((_, i) => i); const fn = (i: number) => [values[i], values.length];",
    ),
    "input.ts": script("const n = Number(process.env.INPUT_N); const fn = () => n;"),
  };
  project = await Project.make(files);
  copy = await Project.make(files);
});
afterAll(async () => {
  await project.remove();
  await copy.remove();
});

describe("the same code, values and options give the same bytes", () => {
  test("in another process, and in another checkout", async () => {
    const first = await captured(join(project.folder, "all.ts"), [], { CAPTURE_OUT: "1" });
    const second = await captured(join(project.folder, "all.ts"), [], { CAPTURE_OUT: "1" });
    const third = await captured(join(copy.folder, "all.ts"), [], { CAPTURE_OUT: "1" });
    expect(first.length).toBeGreaterThan(1000);
    expect(second.equals(first)).toBe(true);
    expect(third.equals(first)).toBe(true);
    expect(first.includes(project.folder)).toBe(false);
  });

  test("and another value gives other bytes", async () => {
    const file = join(project.folder, "input.ts");
    const [one, two] = [await captured(file, [], { INPUT_N: "1" }), await captured(file, [], { INPUT_N: "2" })];
    expect(one.equals(two)).toBe(false);
    expect([(await loadCode(one)).call([]), (await loadCode(two)).call([])]).toEqual([1, 2]);
  });
});

describe("what does not travel", () => {
  test("parts of packages that are not used", async () => {
    const code = await captured(join(project.folder, "shaken.ts"));
    expect(code.includes("calls += 1")).toBe(true);
    expect(code.includes("MARKER_THAT_MUST_BE_SHAKEN_OUT")).toBe(false);
  });

  test("variables that are not used", async () => {
    expect((await captured(join(project.folder, "secret.ts"))).includes("MARKER_OF_AN_UNUSED_VARIABLE")).toBe(false);
  });
});

test("50 MB of numbers travel as bytes", async () => {
  const code = await captured(join(project.folder, "large.ts"));
  expect(code.length - 6_553_600 * 8).toBeLessThan(1000);
  const task = await loadCode(code);
  expect(task.call([6_553_599])).toEqual([6_553_599, 6_553_600]);
});

test("without the inspector, under --permission, the error says what to do", async () => {
  const message = await output(join(project.folder, "plain.ts"), ["--permission", "--allow-fs-read=*"]);
  expect(message).toBe(
    "CaptureError: humq reads functions through V8's inspector, which this process may not use. " +
      "Run the submitting script without --permission (workers are not affected), with a Node that has the inspector.",
  );
});

describe("with tsx", () => {
  const tsx = join(REPOSITORY, "node_modules/tsx/dist/cli.mjs");

  test("enums, parameter properties and namespaces", async () => {
    const body = `
      enum Color { Red = 1, Green = "g" }
      const enum Size { Big = 10 }
      namespace Helpers { export const scale = 3; export function grow(n: number) { return n * scale; } }
      class Point { constructor(readonly x: number, private y = 2) {} sum() { return this.x + this.y; } }
      const point = new Point(1);
      const fn = () => [Color.Red, Color[1], Color.Green, Size.Big, Helpers.grow(2), point.sum(), new Point(5).sum()];`;
    const odd = await Project.make({ "odd.ts": script(body) });
    const task = await loadCode(await captured(join(odd.folder, "odd.ts"), [tsx]));
    expect(task.call([])).toEqual([1, "Red", "g", 10, 6, 3, 7]);
    await odd.remove();
  });

  test("decorated static methods: the function passed on is the original one", async () => {
    const body = `
      let fn: any;
      const TASK = Symbol.for("humq.task");
      function task(original: any, context: ClassMethodDecoratorContext): any {
        if (context.kind !== "method" || !context.static) throw new Error("not a static method");
        fn = original;
        return Object.assign(() => { throw new Error("only recorded"); }, { [TASK]: original });
      }
      const factor = 3;
      class Work {
        static base = 100;
        @task
        static costly(a: number, b: number): number { return Work.base + this.helper(a) * b + factor; }
        static helper(n: number): number { return n + 1; }
        static twice(n: number): number { return Work.costly(n, n) * 2; }
      }`;
    const decorated = await Project.make({
      "decorated.ts": script(body),
      "caller.ts": script(`${body}\nfn = (n: number) => Work.twice(n);`),
    });
    const task = await loadCode(await captured(join(decorated.folder, "decorated.ts"), [tsx]));
    expect([task.name, task.call([1, 2])]).toEqual(["costly", 107]);
    const caller = await loadCode(await captured(join(decorated.folder, "caller.ts"), [tsx]));
    expect(caller.call([1])).toBe(210);
    await decorated.remove();
  });
});
