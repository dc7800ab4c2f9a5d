/** What is published: packed, installed in an empty folder, used as a command and as a library. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VERSION } from "../../core/index.ts";
import { ROOT } from "../support/cli.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { type Finished, type RunOptions, runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

/** Installs and builds take their time on a busy machine. */
const SLOW_MS = 240_000;
/** What the package is made of; a copy, so that building it disturbs nobody who uses this folder's build. */
const SOURCES = [
  ...["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"],
  ...["README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "docker-compose.yml", "nats.conf"],
  ...["bin", "core", "worker", "cli", "docs"],
];

let folder: ReturnType<typeof temporaryDirectory>;
let project: string;
let packed: string[];

async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const done = await runProgram(file, args, { cwd: project, timeoutMs: SLOW_MS, ...options });
  if (done.code !== 0) throw new Error(`${[file, ...args].join(" ")} failed:\n${done.stdout}\n${done.stderr}`);
  return done;
}

beforeAll(async () => {
  folder = temporaryDirectory("humq package ");
  const copy = join(folder.path, "source");
  project = join(folder.path, "project");
  for (const path of [copy, project]) mkdirSync(path);
  for (const source of SOURCES) cpSync(join(ROOT, source), join(copy, source), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"), "dir");
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder.path], { cwd: copy });
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.search(/^\[/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = files.map(({ path }) => path);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  const quick = ["--prefer-offline", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...quick, join(folder.path, filename)]);
}, 2 * SLOW_MS);
afterAll(() => folder?.[Symbol.dispose]());

test("the tarball holds the built program and its papers, and no tests or sources", () => {
  for (const path of ["bin/humq.js", "dist/core/index.js", "dist/core/index.d.ts", "dist/worker/index.js"])
    expect(packed).toContain(path);
  for (const path of ["docker-compose.yml", "nats.conf"]) expect(packed).toContain(path);
  for (const path of ["LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "oclif.manifest.json", "package.json"])
    expect(packed).toContain(path);
  const odd = packed.filter((path) => /^(test|node_modules|bench|examples)\/|(?<!\.d)\.ts$|\.(db|seed)$/.test(path));
  expect(odd).toEqual([]);
});

test("the command runs", async () => {
  const { stdout } = await run("npx", ["--no-install", "humq", "--version"]);
  expect(stdout).toContain(`humq/${VERSION}`);
  const help = await run("npx", ["--no-install", "humq", "--help"]);
  for (const command of ["up", "submit", "pull", "worker"])
    expect(help.stdout).toMatch(new RegExp(`^ +${command} `, "m"));
});

const SCRIPT = `
import { task } from "humq";
import { Worker } from "humq/worker";
const worker = await Worker.start({ slots: 1 });
const double = task((x) => 2 * x);
const call = double(21);
const tag = await double.submit();
console.log(await call.result());
tag.close();
await worker.stop();
`;

test("a script submits, and runs a worker of its own", async () => {
  await using instance: TestInstance = await startInstance({ worker: false });
  writeFileSync(join(project, "script.mjs"), SCRIPT);
  const done = await run(process.execPath, ["script.mjs"], { env: instance.env });
  expect(done).toEqual({ code: 0, signal: null, stdout: "42\n", stderr: "" });
});

const TYPED = `
import { type Call, type PullOptions, type SubmitOptions, Tag, task } from "humq";
import { Worker, type WorkerOptions } from "humq/worker";

export const costly = task(async (a: number, b: string) => ({ a, b }));
export const call: Call<{ a: number; b: string }> = costly(1, "x");
// @ts-expect-error a number parameter takes no text
costly("1", "x");
export async function results(options: SubmitOptions, pull: PullOptions): Promise<string[]> {
  const tag: Tag<{ a: number; b: string }> = await costly.submit(options);
  await tag.pull(pull);
  const texts: string[] = [];
  for await (const result of tag.results()) texts.push(result?.b ?? "");
  return texts;
}
export const start = (options: WorkerOptions): Promise<Worker> => Worker.start(options);
`;

test("its types are there, and hold in a strict project that checks libraries too", async () => {
  writeFileSync(join(project, "typed.ts"), TYPED);
  const compilerOptions = {
    target: "es2024",
    lib: ["es2024", "esnext.disposable"],
    module: "nodenext",
    strict: true,
    noEmit: true,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules", "@types")],
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["typed.ts"] }));
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { code, stdout } = await runProgram(process.execPath, [tsc, "-p", "."], { cwd: project });
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
});
