/** pause, resume, concurrency, cancel, retry and delete as a person and as a script have them. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Home, startUp } from "../support/cli.ts";
import { Gate } from "../support/gate.ts";
import type { Running } from "../support/processes.ts";
import { NO_TERMINAL, onTerminal } from "../support/pseudo-terminal.ts";
import { temporaryProject } from "../support/script.ts";
import { until } from "../support/until.ts";

interface Status {
  pending: number;
  running: number;
  succeeded: number;
  errors: number;
  paused: boolean;
  concurrency: number | null;
}

let home: Home;
let up: Running;
let gate: Gate;
let project: ReturnType<typeof temporaryProject>;
beforeAll(async () => {
  home = new Home();
  ({ up } = await startUp(home, ["--slots", "2"]));
  gate = await Gate.start();
  project = temporaryProject({
    "work.ts": `
      export async function wait(url: string) { await fetch(url); return url.length; }
      export function odd(x: number) { if (x % 2 === 1) throw new Error("odd"); return x; }
    `,
  });
}, 600_000);
afterAll(async () => {
  await up?.stop();
  await gate?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  home?.[Symbol.dispose]();
});

const humq = (...args: string[]) => home.run(args, { cwd: project.path });
const json = async <T>(...args: string[]) => {
  const { code, json: value } = await home.json<T>(args, { cwd: project.path });
  return { code, value };
};
const statusOf = async (tag: string) => (await json<Status>("status", tag)).value;

async function submit(fn: string, calls: readonly unknown[], ...args: string[]): Promise<string> {
  const input = calls.map((call) => JSON.stringify([call])).join("\n");
  const { stdout, stderr, code } = await home.run(["submit", `work.ts#${fn}`, "--args", "-", "--quiet", ...args], {
    cwd: project.path,
    input,
  });
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.trimEnd();
}

let groups = 0;
/** Calls that run until the gate lets them through; two run when it resolves. */
async function held(calls: number): Promise<{ tag: string; keys: string[] }> {
  const group = ++groups;
  const keys = Array.from({ length: calls }, (_, i) => `${group}-${i}`);
  const tag = await submit(
    "wait",
    keys.map((key) => `${gate.url}/${key}`),
  );
  await until(
    "two calls to run",
    () => gate.waiting,
    (waiting) => waiting === 2,
  );
  return { tag, keys };
}

/** Calls 0 to 3 of which 1 and 3 have failed; nothing was pulled. */
async function ended(): Promise<string> {
  const tag = await submit("odd", [0, 1, 2, 3]);
  await until(
    "its end",
    () => statusOf(tag),
    ({ succeeded, errors }) => succeeded + errors === 4,
  );
  return tag;
}

test("pause, concurrency, resume, cancel by state: each says what it did, and --json is one value", async () => {
  const { tag, keys } = await held(6);
  expect(await humq("pause", tag)).toMatchObject({
    code: 0,
    stdout: "",
    stderr: `${tag}: paused. Go on with: humq resume ${tag}\n`,
  });
  expect((await humq("status", tag)).stdout).toMatch(/^state +paused$/m);
  expect(await json("pause", tag)).toEqual({ code: 0, value: { tag, paused: true } });
  expect(await humq("resume", tag)).toMatchObject({ code: 0, stdout: "", stderr: `${tag}: goes on.\n` });
  expect(await json("resume", tag)).toEqual({ code: 0, value: { tag, paused: false } });

  expect(await humq("concurrency", tag)).toMatchObject({ code: 0, stdout: "none\n", stderr: "" });
  expect(await humq("concurrency", tag, "2")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: `${tag}: at most 2 at once.\n`,
  });
  expect(await humq("concurrency", tag)).toMatchObject({ code: 0, stdout: "2\n" });
  expect((await humq("status", tag)).stdout).toMatch(/^at once +at most 2$/m);
  expect(await json("concurrency", tag, "none")).toEqual({ code: 0, value: { tag, concurrency: null } });

  expect(await humq("cancel", tag, "2-3", "--state", "pending", "--reason", "too many")).toMatchObject({
    code: 0,
    stdout: "",
    stderr: `${tag}: 2 calls cancelled.\n`,
  });
  expect(await json("cancel", tag, "--state", "running")).toEqual({ code: 0, value: { tag, cancelled: 2 } });
  gate.open(...keys);
  expect(await humq("pull", tag, "--wait")).toMatchObject({ code: 0 });
  const errors = (await json<{ index: number; error: { message: string } }[]>("errors", tag)).value;
  expect(errors.map(({ index, error }) => [index, error.message])).toEqual([
    [0, "cancelled by its submitter"],
    [1, "cancelled by its submitter"],
    [2, "cancelled by its submitter: too many"],
    [3, "cancelled by its submitter: too many"],
  ]);
});

test("pulls that make the same file at once go on with one", async () => {
  const tag = await ended();
  for (const file of ["one.db", "two.db", "three.db"]) {
    const pulls = await Promise.all(Array.from({ length: 4 }, () => humq("pull", tag, file, "--wait")));
    expect(pulls.map(({ code, stdout, stderr }) => (code === 0 ? stdout : stderr))).toEqual(Array(4).fill(`${file}\n`));
    expect((await humq("results", file)).code).toBe(0);
  }
});

test("retry by state and list", async () => {
  const tag = await ended();
  expect(await humq("retry", tag, "--state", "killed", "--state", "lost")).toMatchObject({
    code: 0,
    stderr: `${tag}: 0 calls sent anew.\n`,
  });
  expect(await humq("retry", tag, "0-1")).toMatchObject({ code: 0, stdout: "", stderr: `${tag}: 1 call sent anew.\n` });
  await humq("pull", tag, "--wait");
  expect(await json("retry", tag, "--state", "failed")).toEqual({ code: 0, value: { tag, retried: 2 } });
});

let four: string;
beforeAll(async () => {
  four = await ended();
});

test.each([
  [["cancel", "TAG", "--state", "failed"], 2, /Expected --state=failed to be one of: pending, running/],
  [["cancel", "TAG", "7"], 2, /^humq: calls: the tag has calls 0 to 3, got 7$/m],
  [["cancel", "TAG", "1-"], 2, /expected numbers and ranges such as 3,7-20/],
  [["retry", "TAG", "--state", "succeeded"], 2, /to be one of: failed, killed, lost, refused, cancelled/],
  [["delete", "TAG", "--state", "done"], 2, /to be one of: pending, running, succeeded/],
  [["delete", "TAG", "x.db", "3-4"], 2, /calls: expected numbers and ranges such as 3,7-20, got "x.db"/],
  [["delete", "TAG", "--downloaded-only"], 2, /there is no .*\.db in this folder: name the archive file/],
  [["concurrency", "TAG", "0"], 2, /^humq: limit: expected a whole number from 1 on, or none; got "0"$/m],
  [["concurrency", "TAG", "many"], 2, /^humq: limit: expected a whole number from 1 on, or none; got "many"$/m],
  [["pause", "nothing-like-it"], 1, /^humq: no tag of yours on "local" begins with "nothing-like-it"$/m],
])("%j is told what is wrong", async (args, code, message) => {
  const finished = await humq(...args.map((arg) => (arg === "TAG" ? four : arg)));
  expect([finished.code, finished.stdout, finished.stderr]).toEqual([code, "", expect.stringMatching(message)]);
});

describe("delete without a terminal", () => {
  test("refuses where outcomes would be lost, says what to do, and deletes with --force", async () => {
    const tag = await ended();
    const lost = `${tag}: 4 outcomes were not pulled and would be lost. Pull first (humq pull ${tag}), or delete with --force.`;
    expect(await humq("delete", tag)).toMatchObject({ code: 1, stdout: "", stderr: `humq: ${lost}\n` });
    expect(await json("delete", tag)).toEqual({ code: 1, value: { error: { code: "instance", message: lost } } });
    const one = `${tag}: 1 outcome was not pulled and would be lost.`;
    expect((await humq("delete", tag, "2")).stderr).toContain(one);
    expect((await statusOf(tag)).succeeded).toBe(2);
    expect(await humq("delete", tag, "--force")).toMatchObject({
      code: 0,
      stdout: "",
      stderr: `${tag}: deleted, with 4 outcomes.\n`,
    });
    expect((await humq("status", tag)).code).toBe(1);
  });

  test("asks for nothing where the archive holds all; calls and states leave the tag there", async () => {
    const tag = await ended();
    await humq("pull", tag, "kept.db");
    expect(await json("delete", tag, "kept.db", "--downloaded-only")).toEqual({
      code: 0,
      value: { tag, deleted: false, outcomes: 4 },
    });
    expect(await humq("delete", tag, "0,2-3", "kept.db")).toMatchObject({
      code: 0,
      stderr: `${tag}: 3 outcomes deleted from the broker.\n`,
    });
    expect(await statusOf(tag)).toMatchObject({ succeeded: 2, errors: 2 });
    expect(await json("delete", tag, "kept.db")).toEqual({ code: 0, value: { tag, deleted: true, outcomes: 4 } });
    expect((await humq("results", join(project.path, "kept.db"))).stdout).toMatch(/"value":2/);
  });

  test("the archive of another tag is no proof that something was pulled", async () => {
    const [tag, other] = [await ended(), await ended()];
    await humq("pull", other, "other.db");
    expect(await humq("delete", tag, "other.db")).toMatchObject({
      code: 2,
      stderr: `humq: other.db is the archive of ${other}, not of ${tag}. Name another file.\n`,
    });
  });
});

if (NO_TERMINAL !== undefined) console.error(NO_TERMINAL);
describe.skipIf(NO_TERMINAL !== undefined)("delete on a terminal", () => {
  const asked = /outcomes were not pulled and would be lost\. Delete all the same\? \[y\/N\] /;

  let kept: string;
  beforeAll(async () => {
    kept = await ended();
  });

  test.each([
    ["y", "y\r"],
    ["YES", "YES\r"],
  ])("%s deletes", async (_what, keys) => {
    const tag = await ended();
    const { screen, code } = await onTerminal(home.env, ["delete", tag], { when: asked, keys }, project.path);
    expect([code, screen]).toEqual([0, expect.stringContaining(`${tag}: deleted, with 4 outcomes.`)]);
    expect((await humq("status", tag)).code).toBe(1);
  });

  test.each([
    ["n", "n\r"],
    ["Enter alone", "\r"],
    ["yesterday", "yesterday\r"],
    ["Ctrl-C", "\x03"],
    ["Ctrl-D", "\x04"],
  ])("%s keeps everything", async (_what, keys) => {
    const { screen, code } = await onTerminal(home.env, ["delete", kept], { when: asked, keys }, project.path);
    expect([code, screen]).toEqual([1, expect.stringContaining(`${kept}: not deleted`)]);
    expect(await statusOf(kept)).toMatchObject({ succeeded: 2, errors: 2 });
  });
  test("--json asks nobody, there too", async () => {
    const nobody = { when: /^never$/, keys: "" };
    const { screen, code } = await onTerminal(home.env, ["delete", kept, "--json"], nobody, project.path);
    expect([code, screen]).toEqual([1, expect.stringContaining("or delete with --force")]);
    expect(screen).not.toContain("[y/N]");
  });
});
