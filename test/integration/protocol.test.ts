/** Client, worker and instance of different versions: each is told who must update. The number is changed in a copy. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PROTOCOL, VERSION } from "../../core/version.ts";
import { Home, PROGRAM, ROOT, startUp } from "../support/cli.ts";
import { type Finished, Running, runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

const NEWER = PROTOCOL + 1;

let copy: ReturnType<typeof temporaryDirectory>;
let home: Home;
let up: Running;

/** The command line of a humq that speaks a newer protocol. */
const newer = () => join(copy.path, "bin", "humq.js");

beforeAll(async () => {
  copy = temporaryDirectory("humq newer ");
  for (const part of ["bin", "dist", "package.json"])
    cpSync(join(ROOT, part), join(copy.path, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"), "dir");
  const file = join(copy.path, "dist", "core", "version.js");
  const source = readFileSync(file, "utf8");
  const changed = source.replace(`PROTOCOL = ${PROTOCOL};`, `PROTOCOL = ${NEWER};`);
  expect(changed).not.toBe(source);
  writeFileSync(file, changed);
  writeFileSync(join(copy.path, "work.mjs"), "export function double(n) { return 2 * n; }\n");
  home = new Home();
  ({ up } = await startUp(home, ["--slots", "1"]));
});
afterAll(async () => {
  await up.stop();
  home[Symbol.dispose]();
  copy[Symbol.dispose]();
});

const run = (program: string, ...args: string[]): Promise<Finished> =>
  runProgram(process.execPath, [program, ...args], { cwd: copy.path, env: home.env, input: "[1]\n" });
const submit = (program: string) => run(program, "submit", "work.mjs", "--args", "-");

test("each side is told who is older", async () => {
  const older = `the instance "local" speaks humq protocol ${PROTOCOL}, this humq (${VERSION}) speaks ${NEWER}: its owner must update humq`;
  expect((await submit(newer())).stderr).toContain(older);
  const worker = await run(newer(), "worker");
  expect([worker.code, worker.stderr]).toEqual([1, expect.stringContaining(older)]);
  const before = (await submit(PROGRAM)).stdout.trim();

  // The owner updates the instance; the worker from before goes on.
  expect((await run(newer(), "init", "--finish")).code).toBe(0);
  const refused = `the instance "local" speaks humq protocol ${NEWER}, this humq (${VERSION}) speaks ${PROTOCOL}: update humq here.`;
  expect((await submit(PROGRAM)).stderr).toContain(refused);
  expect((await run(PROGRAM, "worker")).stderr).toContain(refused);
  expect((await run(PROGRAM, "init", "--finish")).stderr).toContain(refused);

  const submitted = await submit(newer());
  expect(submitted.stderr).toContain(
    `the 1 worker of datacenter "local" speaks humq protocol ${PROTOCOL}, this humq (${VERSION}) and what it submits ${NEWER}`,
  );
  const tag = submitted.stdout.trim();
  await up.until(
    new RegExp(
      `not running ${tag} by \\S+: it was submitted by humq protocol ${NEWER}, this worker \\(${VERSION}\\) speaks ${PROTOCOL}: update humq on this worker`,
    ),
  );
  expect((await run(newer(), "explain", tag)).stdout).toContain("What to do: have humq updated on the workers");
  // The older client sees the tag, and what it can do about it.
  expect((await run(PROGRAM, "status", tag)).stderr).toContain(
    `${tag} was submitted by humq protocol ${NEWER}, this humq (${VERSION}) speaks ${PROTOCOL}: update humq here.`,
  );
  expect((await run(PROGRAM, "tags")).stdout).toContain(`submitted by humq protocol ${NEWER}`);
  expect((await run(newer(), "status", before)).stderr).toContain(
    `${before} was submitted by humq protocol ${PROTOCOL}, this humq (${VERSION}) speaks ${NEWER}: go on with the humq that submitted it`,
  );

  // A worker of the new version takes it beside the old one.
  const second = new Running(process.execPath, [newer(), "worker", "--slots", "1"], { cwd: copy.path, env: home.env });
  try {
    await second.until(new RegExp(`working on ${tag}`));
    expect((await run(newer(), "pull", tag, "--wait")).code).toBe(0);
    expect((await run(newer(), "workers")).stdout).toContain(`${VERSION} (protocol ${PROTOCOL})`);
  } finally {
    await second.stop();
  }
  // Deleted it can be by any version.
  expect((await run(PROGRAM, "delete", tag, "--force")).code).toBe(0);
});
