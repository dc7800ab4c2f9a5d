/** From a file and a list of arguments to results, on the command line alone. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Home, startUp } from "../support/cli.ts";
import type { Finished, Running } from "../support/processes.ts";
import { type Project, temporaryProject } from "../support/script.ts";

interface ErrorJson {
  error: { code: string; message: string };
}

const WORK = `
import { twice } from "./helper.ts";
console.log("loading prints");
export function add(a: number, b = 10): number { return twice(a) + b; }
export async function merge({ left, right }: { left: number[]; right: number[] }) { return [...left, ...right]; }
export function rich(n: number) { return { big: BigInt(n), when: new Date(0), map: new Map([["n", Number.NaN]]) }; }
export function odd(n: number) {
  if (n % 2 === 0) throw new RangeError(\`\${n} is even\\u001b[2J\`, { cause: new Error("so it is") });
  return n;
}
export function wait(ms: number) { return new Promise((resolve) => setTimeout(resolve, ms, ms)); }
export class NotAFunction {}
export const limit = 3;
`;

let home: Home;
let up: Running;
let project: Project;

beforeAll(async () => {
  home = new Home();
  ({ up } = await startUp(home, ["--slots", "2"]));
});
afterAll(async () => {
  await up.stop();
  home[Symbol.dispose]();
});
beforeEach(() => {
  project = temporaryProject({
    "work.ts": WORK,
    "helper.ts": "export const twice = (n: number) => 2 * n;\n",
  });
  return () => project[Symbol.dispose]();
});

const run = (args: string[], input?: string): Promise<Finished> =>
  home.run(args, { cwd: project.path, ...(input !== undefined && { input }) });

async function submit(target: string, input: string, args: string[] = []): Promise<string> {
  const { code, stdout, stderr } = await run(["submit", target, "--args", "-", ...args], input);
  expect([code, stderr]).toEqual([0, expect.stringContaining("Submitted ")]);
  return stdout.trimEnd();
}

/** Pulls a tag to its end and gives its results. */
async function results(tag: string): Promise<unknown[]> {
  const pulled = await run(["pull", tag, `${tag}.db`, "--wait"]);
  expect([pulled.code, pulled.stdout]).toEqual([0, `${tag}.db\n`]);
  const { stdout } = await run(["results", `${tag}.db`]);
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}

describe("submit", () => {
  test("takes arguments in order and by name, from a file; what the file prints stays out of the data", async () => {
    project.write("calls.jsonl", '[1]\n[1, 2]\n{"b": 3, "a": 2}\n\n{"a": 5}\n');
    const { code, stdout, stderr } = await run(["submit", "work.ts#add", "--args", "calls.jsonl", "--tag", "sums"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sums_[0-9a-f-]{36}\n$/);
    expect(stderr).toMatch(
      new RegExp(
        "^loading prints\\nSubmitted 4 calls of add, kept until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ. " +
          `Next: humq pull ${stdout.trimEnd()} --wait\n$`,
      ),
    );
    expect(await results(stdout.trimEnd())).toEqual([
      { index: 0, value: 12 },
      { index: 1, value: 4 },
      { index: 2, value: 7 },
      { index: 3, value: 20 },
    ]);
  });

  test("gives an object whole to a function that takes it apart", async () => {
    expect(await results(await submit("work.ts#merge", '{"left": [1], "right": [2]}'))).toEqual([
      { index: 0, value: [1, 2] },
    ]);
  });

  test("sends chunks, and takes all the options of the library", async () => {
    const options =
      "--chunk-size 4 --cpus 1 --time-limit 1m30s --priority 5 --attempts 2 --concurrency 3 --datacenter local";
    const lines = Array.from({ length: 10 }, (_, i) => `[${i}, 0]`).join("\n");
    const tag = await submit("work.ts#add", lines, options.split(" "));
    expect(await results(tag)).toEqual(Array.from({ length: 10 }, (_, index) => ({ index, value: 2 * index })));
  });

  test("says when the tag expires", async () => {
    const before = Date.now();
    const { json } = await home.json<{ tag: string; expiresMs: number }>(
      ["submit", "work.ts#add", "--args", "-", "--retention", "2h"],
      { cwd: project.path, input: "[1, 2]" },
    );
    expect(json.expiresMs).toBeGreaterThanOrEqual(before + 2 * 3_600_000);
    expect(json.expiresMs).toBeLessThanOrEqual(Date.now() + 2 * 3_600_000);
    const status = await home.json<{ expiresMs: number; expired: boolean }>(["status", json.tag]);
    expect(status.json).toMatchObject({ expiresMs: json.expiresMs, expired: false });
  });

  test.each([
    ["the default export of JavaScript", "a.js", "export const other = 1; export default (n) => n + 1;", "a"],
    ["the only function of CommonJS", "b.cjs", "exports.next = (n) => n + 1; exports.x = 1;", "next"],
    [
      "a task, with what was recorded while it loaded dropped",
      "c.ts",
      'import { task } from "humq"; export const t = task((a: number, b: number) => a + b, { name: "named", defaults: { b: 1 } }); t(100);',
      "named",
    ],
  ])("finds %s", async (_name, file, source, label) => {
    project.write(file, source);
    const tag = await submit(file, "[1]\n[2]\n");
    expect(tag).toMatch(new RegExp(`^${label}_`));
    expect(await results(tag)).toEqual([
      { index: 0, value: 2 },
      { index: 1, value: 3 },
    ]);
  });

  describe("what is wrong", () => {
    let before: unknown;
    beforeAll(async () => {
      before = (await home.json(["tags"])).json;
    });

    test.each<[string, string[], string, number, RegExp]>([
      ["a bad line", ["work.ts#add"], "[1]\n[2\n", 2, /^stdin, line 2: not JSON/],
      [
        "a name that is no parameter",
        ["work.ts#add"],
        '{"aa": 1}',
        2,
        /^stdin, line 1: the function has no parameter "aa" \(it has: a, b\)\. Did you mean a\?/,
      ],
      ["no calls", ["work.ts#add"], "\n", 2, /^nothing to submit: stdin holds no calls$/],
      ["a missing file", ["none.ts"], "[1]", 2, /^there is no file none\.ts$/],
      [
        "a function that is not there",
        ["work.ts#ad"],
        "[1]",
        2,
        /^no function "ad" to submit: work\.ts exports .*\. Did you mean add\?$/,
      ],
      [
        "several functions and no name",
        ["work.ts"],
        "[1]",
        2,
        /^which function\? work\.ts exports add, merge, odd, rich, wait\. Name one: work\.ts#add$/,
      ],
      [
        "an option out of bounds",
        ["work.ts#add", "--chunk-size", "0"],
        "[1]",
        2,
        /^--chunk-size: expected a whole number from 1 to 100000, or "auto", got 0$/,
      ],
      [
        "a datacenter that does not serve",
        ["work.ts#add", "--datacenter", "locel"],
        "[1]",
        2,
        /^no datacenter "locel" serves you .*Did you mean local\?$/,
      ],
    ])("refuses %s", async (_name, args, input, exitCode, message) => {
      const { code, json } = await home.json<ErrorJson>(["submit", ...args, "--args", "-"], {
        cwd: project.path,
        input,
      });
      expect([code, json.error.message]).toEqual([exitCode, expect.stringMatching(message)]);
    });

    test("is not sent", async () => {
      expect((await home.json(["tags"])).json).toEqual(before);
    });
  });

  test("shows where a file that cannot be loaded fails, without its own stack", async () => {
    project.write("broken.ts", "const x: number = 1;\nthrow new TypeError(`no ` + x);\nexport const f = () => 1;\n");
    const { code, stderr } = await run(["submit", "broken.ts", "--args", "-"], "[1]");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^humq: broken\.ts could not be loaded: TypeError: no 1\n {4}at .*broken\.ts:2:7\)?\n$/);
  });

  test("names what cannot be captured", async () => {
    project.write(
      "socket.ts",
      'import { Socket } from "node:net";\nconst line = new Socket();\nexport const f = () => line.bytesRead;\n',
    );
    const { code, json } = await home.json<ErrorJson>(["submit", "socket.ts", "--args", "-"], {
      cwd: project.path,
      input: "[]",
    });
    expect([code, json.error.code]).toEqual([1, "capture"]);
    expect(json.error.message).toContain("line");
  });
});

describe("what comes back", () => {
  test("values that JSON has no form for follow the documented convention", async () => {
    expect(await results(await submit("work.ts#rich", "[5]"))).toEqual([
      {
        index: 0,
        value: {
          big: { $bigint: "5" },
          when: { $date: "1970-01-01T00:00:00.000Z" },
          map: { $map: [["n", { $number: "NaN" }]] },
        },
      },
    ]);
  });

  test("failed calls do not fail the pull; errors tells why, harmlessly", async () => {
    const tag = await submit("work.ts#odd", "[1]\n[2]\n[3]\n");
    expect(await results(tag)).toEqual([
      { index: 0, value: 1 },
      { index: 2, value: 3 },
    ]);
    const { stdout, code } = await run(["errors", `${tag}.db`]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^call 1 failed: RangeError: 2 is even\\u001b\[2J\n {4}at odd \(.*work\.ts:8:\d+\)\n/);
    expect(stdout).toMatch(/^caused by Error: so it is$/m);
    const { json } = await home.json(["errors", tag]);
    expect(json).toMatchObject([
      {
        index: 1,
        state: "failed",
        error: { name: "RangeError", message: "2 is even\u001b[2J", cause: { $error: { message: "so it is" } } },
      },
    ]);
    expect((await home.json(["describe", join(project.path, `${tag}.db`)])).json).toMatchObject({
      tag,
      task: "odd",
      calls: 3,
      results: 2,
      errors: 1,
      open: 0,
      byState: { succeeded: 2, failed: 1 },
    });
    expect((await home.json(["describe", tag])).json).toMatchObject({
      file: null,
      tag,
      calls: 3,
      results: 2,
      errors: 1,
      open: 0,
      byState: { succeeded: 2, failed: 1, killed: 0, lost: 0, refused: 0, cancelled: 0 },
    });
    expect((await home.json(["status", tag])).json).toMatchObject({
      tag,
      calls: 3,
      succeeded: 2,
      errors: 1,
      pending: 0,
    });
  });

  test("a tag may be named by its beginning or last; results of a tag are pulled; --json is one array", async () => {
    const tag = await submit("work.ts#add", "[1]\n", ["--tag", "unlike-others"]);
    await run(["pull", "unlike", "--wait"]);
    expect(existsSync(join(project.path, `${tag}.db`))).toBe(true);
    for (const name of [tag, "unlike-o", "last"]) {
      expect((await home.json(["results", name])).json).toMatchObject([
        { index: 0, value: 12, attempts: 1, losses: 0 },
      ]);
    }
    expect((await home.json<{ tag: string }[]>(["tags"])).json.at(-1)).toMatchObject({
      tag,
      calls: 1,
      datacenters: ["local"],
    });
  });

  test("no results are no lines, and an empty array", async () => {
    const tag = await submit("work.ts#odd", "[2]\n");
    expect(await results(tag)).toEqual([]);
    expect((await home.json(["results", tag])).json).toEqual([]);
  });

  test("an unknown tag, and a file of another tag, are errors", async () => {
    const unknown = await home.json<ErrorJson>(["pull", "nothing-like-it", "x.db"], { cwd: project.path });
    expect([unknown.code, unknown.json.error]).toEqual([
      1,
      { code: "instance", message: 'no tag of yours on "local" begins with "nothing-like-it"' },
    ]);
    expect(existsSync(join(project.path, "x.db"))).toBe(false);
    const [first, second] = [await submit("work.ts#add", "[1]"), await submit("work.ts#add", "[2]")];
    await results(first);
    const content = readFileSync(join(project.path, `${first}.db`));
    const mixed = await home.json<ErrorJson>(["pull", second, `${first}.db`], { cwd: project.path });
    expect([mixed.code, mixed.json.error.message]).toEqual([
      2,
      `${first}.db is the archive of ${first}, not of ${second}. Name another file.`,
    ]);
    expect(readFileSync(join(project.path, `${first}.db`))).toEqual(content);
  });

  test("Ctrl-C during a pull leaves a consistent file that the next pull goes on with", async () => {
    const tag = await submit("work.ts#wait", "[0]\n[4000]\n");
    await using pulling = home.start(["pull", tag, "slow.db", "--wait"], { cwd: project.path });
    // The first result is in the file.
    for (let found = ""; !found.includes('"index":0'); ) found = (await run(["results", "slow.db"])).stdout;
    const stopped = await pulling.stop("SIGINT");
    expect([stopped.code, stopped.stderr]).toEqual([
      130,
      `${tag}: 1 of 2 calls succeeded, 1 still open. Pull again, or with --wait.\n` +
        "humq: stopped before everything was pulled; pull again to go on\n",
    ]);
    const part = await home.json<{ open: number }>(["pull", tag, "slow.db"], { cwd: project.path });
    expect([part.code, part.json.open <= 1]).toEqual([0, true]);
    const rest = await home.json(["pull", tag, "slow.db", "--wait"], { cwd: project.path });
    expect(rest.json).toMatchObject({ calls: 2, results: 2, open: 0 });
  });

  test("a pull that waits says what for, and in a pipe how far it is", async () => {
    const tag = await submit("work.ts#wait", "[6000]\n".repeat(5));
    await run(["pause", tag]);
    await using pulling = home.start(["pull", tag, "paused.db", "--wait"], { cwd: project.path });
    await pulling.until(new RegExp(`waiting: it is paused; humq resume ${tag}\n`));
    await run(["resume", tag]);
    await pulling.until(/^pull: [1-4] of 5 calls, [\d.]+\/s, \d+s left\n/m);
    const { code, stderr } = await pulling.finished;
    expect([code, stderr.match(/waiting:/g)?.length]).toEqual([0, 1]);
    expect(stderr).toMatch(/: 5 of 5 calls succeeded/);
  });

  test("a reader that has had enough ends the output quietly", async () => {
    const tag = await submit("work.ts#add", Array.from({ length: 5000 }, (_, i) => `[${i}]`).join("\n"), [
      "--chunk-size",
      "500",
    ]);
    await results(tag);
    const { PROGRAM } = await import("../support/cli.ts");
    const { runProgram } = await import("../support/processes.ts");
    const command = `set -o pipefail; '${process.execPath}' '${PROGRAM}' results '${tag}.db' | head -1`;
    const { code, stdout, stderr } = await runProgram("/bin/bash", ["-c", command], {
      cwd: project.path,
      env: home.env,
    });
    expect([code, stdout, stderr]).toEqual([0, '{"index":0,"value":10}\n', ""]);
  });
});
