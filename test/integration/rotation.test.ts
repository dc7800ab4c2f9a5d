/** Replacing a datacenter's key and the root key as docs/operations.md says, on several machines. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../../core/instance/server/index.ts";
import { Home, ROOT } from "../support/cli.ts";
import { blocksOf } from "../support/markdown.ts";
import { Running } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { serverBinary, temporaryDirectory } from "../support/tools.ts";

const BLOCKS = blocksOf(join(ROOT, "docs", "operations.md")).filter(({ language }) => language === "sh");
const directory = temporaryDirectory("humq rotation ");
const owner = new Home();
const machine = new Home();
const person = new Home();
const project = temporaryProject({ "square.ts": "export const square = (x: number): number => x * x;\n" });
let server: Running;
let link: string;

async function startServer(folder: string): Promise<void> {
  server = new Running(await serverBinary(), ["-c", "nats.conf"], { cwd: folder, timeoutMs: 600_000 });
  await server.until(/Server is ready/);
}

async function printed(home: Home, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await home.run(args, { cwd: directory.path });
  expect(code, `${args.join(" ")}\n${stderr}`).toBe(0);
  return stdout.trim();
}

/** Does what the block of the page says that holds `part`, line by line. @returns what the first line printed */
async function follow(home: Home, part: string, words: Record<string, string> = {}): Promise<string> {
  const { text } = BLOCKS.find((block) => block.text.includes(part))!;
  const outputs: string[] = [];
  for (const line of text.trim().split("\n")) {
    const args = Object.entries(words)
      .reduce((whole, [word, value]) => whole.replaceAll(word, value), line)
      .split(" ");
    expect(args.shift()).toBe("humq");
    outputs.push(await printed(home, args));
  }
  return outputs[0]!;
}

/** A call of the person's on a worker of the machine's. @returns what the worker said */
async function runsOnGpu(): Promise<string> {
  await using worker = machine.start(["worker", "--slots", "1", "--unsafe", "--json"], { timeoutMs: 600_000 });
  await worker.until(/^\}\n/m);
  const options = { cwd: project.path, input: "[7]\n" };
  const { json } = await person.json<{ tag: string }>(
    ["submit", "square.ts", "--args", "-", "--datacenter", "gpu"],
    options,
  );
  expect((await person.run(["pull", json.tag, `${json.tag}.db`, "--wait"], options)).code).toBe(0);
  expect((await person.run(["results", `${json.tag}.db`], options)).stdout).toBe('{"index":0,"value":49}\n');
  await worker.stop("SIGINT");
  return worker.stderr;
}

beforeAll(async () => {
  const port = String(await findFreePort());
  const dir = join(directory.path, "humq-server");
  link = await printed(owner, [
    "init",
    "--instance",
    "cluster",
    "--host",
    "127.0.0.1",
    "--port",
    port,
    "--dir",
    dir,
    "--tls",
  ]);
  await startServer(dir);
  await printed(owner, ["init", "--finish"]);
  await printed(owner, [
    "grant",
    await printed(machine, ["request", link, "--datacenter", "gpu"]),
    "gpu",
    "--role",
    "worker",
  ]);
  await printed(owner, ["grant", await printed(person, ["request", link]), "ann", "--datacenter", "gpu"]);
});
afterAll(async () => {
  await server?.stop();
  for (const each of [owner, machine, person, project, directory]) each[Symbol.dispose]();
});

test("a datacenter's key is replaced as the page says", async () => {
  const request = await follow(machine, "--rotate", { LINK: link, DATACENTER: "gpu" });
  await follow(owner, "--new-key", { REQUEST: request, DATACENTER: "gpu" });
  expect(await runsOnGpu()).toContain('the key of datacenter "gpu" was replaced');
  const seeds = readdirSync(join(machine.path, "instances", "cluster", "datacenters")).sort();
  expect(seeds).toEqual([expect.stringMatching(/^gpu\.[0-9a-f]{16}\.old\.seed$/), "gpu.seed"]);
  await follow(owner, "humq revoke", { DATACENTER: "gpu" });
  expect(await runsOnGpu()).not.toContain("was replaced");
});

test("the root key is replaced as the page says, and everybody goes on with their keys", async () => {
  const asked = await owner.run(["rotate", "--dir", join(directory.path, "never")]);
  expect([asked.code, asked.stderr]).toEqual([
    1,
    expect.stringMatching(/ann +submitter +gpu +granted anew[\s\S]*--yes/),
  ]);
  const newLink = await follow(owner, "humq rotate");
  expect(newLink).not.toBe(link);
  await server.stop();
  await startServer(join(directory.path, "humq-server-new"));
  await follow(owner, "humq users");
  const refused = await person.run(["request", newLink]);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("humq request LINK --new-root")]);
  await follow(person, "--new-root", { LINK: newLink });
  await printed(machine, ["request", newLink, "--new-root"]);
  expect(await runsOnGpu()).not.toContain("warning");
  const { json } = await owner.json<{ name: string; datacenters: string[] }[]>(["users"]);
  expect(json.map(({ name }) => name)).toEqual(expect.arrayContaining(["ann", "gpu-2", "main"]));
  expect(json.find(({ name }) => name === "gpu")).toBeUndefined();
});
