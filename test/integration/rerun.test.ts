/** Calls looked at one by one, and run again here. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "acorn";
import { afterAll, beforeAll, expect, test } from "vitest";
import { shortUser, streamOf, subjectOf } from "../../core/broker/names.ts";
import { publish } from "../../core/broker/publish.ts";
import { task } from "../../core/index.ts";
import { withSession } from "../../core/instance/lease.ts";
import { PROGRAM } from "../support/cli.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

let instance: TestInstance;
const registryBefore = process.env.npm_config_registry;
beforeAll(async () => {
  process.env.npm_config_registry = "http://127.0.0.1:9/";
  instance = await startInstance({ slots: 2 });
});
afterAll(async () => {
  if (registryBefore === undefined) delete process.env.npm_config_registry;
  else process.env.npm_config_registry = registryBefore;
  await instance?.stop();
});

const humq = (...args: string[]) => runProgram(process.execPath, [PROGRAM, ...args], { env: instance.env });

const factor = 3;
const multiply = (x: number, y = 1): number => {
  console.log("multiplying");
  if (x < 0) throw new RangeError(`${x} is below zero`);
  return factor * x * y;
};

test("arguments and code come back from the broker and run in this process", async () => {
  const work = task(multiply);
  for (const [x, y] of [
    [1, 2],
    [-1, 0],
    [5, 6],
  ])
    work(x!, y);
  using tag = await work.submit();
  expect(await tag.call(2).arguments()).toEqual([5, 6]);
  expect(await tag.call(2).run()).toBe(90);
  expect(await tag.call(2).run([7])).toBe(21);
  expect(await tag.call(2).result()).toBe(90);
  const { stack } = await tag
    .call(1)
    .run()
    .then(
      () => ({ stack: "" }),
      (error: Error) => error,
    );
  expect(stack).toMatch(/^RangeError: -1 is below zero\n.*rerun\.test\.ts:\d+:\d+/);
  expect(() => tag.call(3)).toThrow(`${tag.name} has calls 0 to 2, got 3`);
});

test("calls of chunks, and arguments that travelled in parts", async () => {
  const work = task((name: string, bytes: Uint8Array) => `${name} ${bytes.length}`);
  const big = new Uint8Array(1_500_000).map((_, i) => i % 251);
  for (let i = 0; i < 5; i++) work(`call ${i}`, i === 3 ? big : new Uint8Array(i));
  using tag = await work.submit({ chunkSize: 2 });
  for (const index of [0, 1, 4]) expect(await tag.call(index).run()).toBe(`call ${index} ${index}`);
  const [name, bytes] = (await tag.call(3).arguments()) as [string, Uint8Array];
  const digest = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
  expect([name, digest(bytes)]).toEqual(["call 3", digest(big)]);
});

test("what the submitter did not sign is not run", async () => {
  const work = task(multiply);
  work(1);
  work(2);
  using tag = await work.submit();
  await tag.wait();
  await withSession(undefined, async ({ nc, identity }) => {
    const { jetstreamManager } = await import("@nats-io/jetstream");
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const u = shortUser(identity.user);
    const stream = streamOf.calls(u);
    const { StreamReader } = await import("../../core/broker/read.ts");
    const reader = await StreamReader.open(nc);
    const other = await reader.last(stream, subjectOf.call(u, tag.name, 1));
    await manager.streams.purge(stream, { filter: subjectOf.call(u, tag.name, 0) });
    await publish(nc, { subject: subjectOf.call(u, tag.name, 0), data: other!.data });
  });
  await expect(tag.call(0).run()).rejects.toThrow(`call 0 of ${tag.name}: the signed message is call 1`);
  expect(await tag.call(1).run()).toBe(6);
});

test("on the command line: result on stdout, prints on stderr, exit code 1 where it throws", async () => {
  const work = task(multiply);
  work(4, 5);
  work(-2);
  using tag = await work.submit();
  expect(await humq("rerun", tag.name, "0")).toEqual({
    code: 0,
    signal: null,
    stdout: "60\n",
    stderr: "multiplying\n",
  });
  expect(await humq("rerun", tag.name, "0", "--args", "[1]")).toMatchObject({ code: 0, stdout: "3\n" });
  const asJson = await humq("rerun", tag.name, "0", "--json");
  expect(JSON.parse(asJson.stdout)).toEqual({ tag: tag.name, index: 0, state: "succeeded", value: 60 });
  const thrown = await humq("rerun", tag.name, "1");
  expect(thrown).toMatchObject({ code: 1, stdout: "" });
  expect(thrown.stderr).toMatch(/call 1 failed: RangeError: -2 is below zero\n.*rerun\.test\.ts:\d+:\d+/);
  const thrownJson = await humq("rerun", tag.name, "1", "--json");
  expect(thrownJson.code).toBe(1);
  expect(JSON.parse(thrownJson.stdout)).toMatchObject({ state: "failed", error: { name: "RangeError" } });
  expect(await humq("rerun", tag.name, "0", "--args", "1")).toMatchObject({
    code: 2,
    stderr: "humq: --args: expected a JSON array of the arguments, got 1. For one: [1]\n",
  });
});

test("a call that ends the process is told", async () => {
  const work = task((code: number): void => process.exit(code));
  work(3);
  using tag = await work.submit({ attempts: 1 });
  expect(await humq("rerun", tag.name, "0")).toMatchObject({
    code: 3,
    stdout: "",
    stderr: "call 0 ended this process with code 3 before it returned\n",
  });
});

test("packages named at submit come from a folder here, other arguments from whoever runs it", async () => {
  const work = task((text: string, times?: number): string =>
    parse(text, { ecmaVersion: 2024 }).type.repeat(times ?? 1),
  );
  work("1 + 1");
  // Workers cannot install it: nothing answers at that registry.
  using tag = await work.submit({ packages: ["acorn@8"], attempts: 1 });
  using folder = temporaryDirectory("humq rerun ");
  const acorn = join(folder.path, "node_modules", "acorn");
  mkdirSync(acorn, { recursive: true });
  writeFileSync(
    join(acorn, "package.json"),
    JSON.stringify({ name: "acorn", version: "8.99.0", type: "module", main: "index.js" }),
  );
  writeFileSync(
    join(acorn, "index.js"),
    `export const parse = (text) => ({ type: "the folder's own: " + text + ";" });`,
  );
  const packagesDir = folder.path;
  expect(await tag.call(0).run(undefined, { packagesDir })).toBe("the folder's own: 1 + 1;");
  expect(await tag.call(0).run(["2", 2], { packagesDir })).toBe("the folder's own: 2;the folder's own: 2;");
  const loaded = await tag.call(0).load({ packagesDir });
  expect(loaded.arguments).toEqual(["1 + 1"]);
  expect(await loaded.run(["3"])).toBe("the folder's own: 3;");
  const inFolder = (cwd: string, ...args: string[]) =>
    runProgram(process.execPath, [PROGRAM, "rerun", tag.name, "0", ...args], { env: instance.env, cwd });
  expect(await inFolder(packagesDir)).toMatchObject({
    code: 0,
    stdout: `"the folder's own: 1 + 1;"\n`,
    stderr: "",
  });
  expect(await inFolder(packagesDir, "--args", '["4", 2]')).toMatchObject({
    code: 0,
    stdout: `"the folder's own: 4;the folder's own: 4;"\n`,
  });
  using empty = temporaryDirectory("humq rerun ");
  const without = await inFolder(empty.path);
  expect(without.code).not.toBe(0);
  expect(without.stderr).toContain("acorn");
});

test("tasks: how each call ended", async () => {
  const work = task(multiply);
  for (const x of [1, -1, 2, -2]) work(x);
  using tag = await work.submit();
  await tag.wait();
  const { stdout } = await humq("tasks", tag.name, "--json");
  const tasks = JSON.parse(stdout) as Record<string, unknown>[];
  expect(tasks.map(({ index, state, error }) => [index, state, error])).toEqual([
    [0, "succeeded", null],
    [1, "failed", "RangeError: -1 is below zero"],
    [2, "succeeded", null],
    [3, "failed", "RangeError: -2 is below zero"],
  ]);
  expect(tasks[0]).toMatchObject({ datacenter: "local", durationMs: expect.any(Number) });
  const failed = (await humq("tasks", tag.name, "1-2", "--state", "failed")).stdout.trimEnd().split("\n");
  expect(failed).toHaveLength(2);
  expect(failed[0]).toMatch(/^CALL +STATE +TOOK +MEMORY +ATTEMPTS +LOSSES +WORKER +ERROR$/);
  expect(failed[1]).toMatch(/^1 +failed +\S+ .* RangeError: -1 is below zero$/);
  expect(await humq("tasks", tag.name, "4")).toMatchObject({
    code: 2,
    stderr: "humq: calls: the tag has calls 0 to 3, got 4\n",
  });
  expect(await humq("tasks", tag.name, "--state", "open", "--json")).toMatchObject({ code: 0, stdout: "[]\n" });
});
