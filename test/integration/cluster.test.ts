/**
 * Moving an instance to a cluster of three real servers as docs/operations.md says, with the real nats command; then one
 * server is killed, and all are restarted one after the other as in an upgrade, while calls run. Nothing is lost.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Tag, task } from "../../core/index.ts";
import { finishInit, initInstance } from "../../core/instance/init.ts";
import { findNatsServer } from "../../core/instance/server/index.ts";
import { findFreePort } from "../../core/instance/server/port.ts";
import { PROGRAM, ROOT } from "../support/cli.ts";
import { makeNodes, Node } from "../support/cluster.ts";
import { collect } from "../support/collect.ts";
import { blocksOf } from "../support/markdown.ts";
import { natsCommand } from "../support/nats-cli.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const nats = await natsCommand();
const BLOCKS = blocksOf(join(ROOT, "docs", "operations.md"));
const directory = temporaryDirectory("humq cluster ");
const homeBefore = process.env.HUMQ_HOME;
const OWNER = userInfo().username;

let env: Record<string, string | undefined>;
let single: Node;
let nodes: Node[] = [];
let user = "";

beforeAll(async () => {
  const home = join(directory.path, "home");
  const bin = join(directory.path, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "humq"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  chmodSync(join(bin, "humq"), 0o755);
  process.env.HUMQ_HOME = home;
  const PATH = [bin, ...(nats === undefined ? [] : [nats]), process.env.PATH].join(":");
  env = { HUMQ_HOME: home, HUMQ_INSTANCE: undefined, XDG_CONFIG_HOME: join(directory.path, "config"), PATH };
  const { path: binary } = await findNatsServer();
  const port = await findFreePort("127.0.0.1");
  const folder = join(directory.path, "single");
  const { instance } = await initInstance({ instance: "main", host: "127.0.0.1", port, folder });
  single = new Node(binary, folder, port);
  await single.start();
  await finishInit(instance);
});
afterAll(async () => {
  for (const node of [single, ...nodes]) await node?.stop("SIGKILL");
  if (homeBefore === undefined) delete process.env.HUMQ_HOME;
  else process.env.HUMQ_HOME = homeBefore;
  directory[Symbol.dispose]();
});

/** Runs a block of the page that holds `part`, line by line. */
async function follow(part: string): Promise<string> {
  const block = BLOCKS.find(({ language, text }) => language === "sh" && text.includes(part));
  expect(block, part).toBeDefined();
  let said = "";
  for (const line of block!.text.trim().split("\n")) said += await shell(line);
  return said;
}

async function shell(line: string): Promise<string> {
  const text = line
    .replaceAll("INSTANCE", "main")
    .replaceAll("NAME", OWNER)
    .replaceAll("USER", user)
    .replace(/nats(\d)\.example\.org:4222/g, (_, number: string) => nodes[Number(number) - 1]!.address);
  const { code, stdout, stderr } = await runProgram("bash", ["-euc", text], { cwd: directory.path, env });
  expect(code, `${text}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

/** Of each stream of the context's account. */
async function replicas(context: string): Promise<number[]> {
  const names = (await shell(`nats --context ${context} stream ls --all --names`)).trim().split("\n");
  const infos = await Promise.all(names.map((name) => shell(`nats --context ${context} stream info ${name} --json`)));
  return infos.map((info) => (JSON.parse(info) as { config: { num_replicas: number } }).config.num_replicas);
}

/** Until a block does what it says. */
async function succeeds(what: string, part: string): Promise<void> {
  const look = () =>
    follow(part).then(
      () => "",
      (error: Error) => error.message,
    );
  await until(what, look, (failed) => failed === "");
}

/** Until all servers are there and up to date. */
const allWell = () => succeeds("three healthy servers", "--peer-expect 3");

const startWorker = () => WorkerProcess.start(env, ["--datacenter", "main", "--slots", "2"]);

async function submitted(calls: number, ms: number): Promise<Tag<number>> {
  const work = task(async (x: number, waitMs: number) => {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return x;
  });
  for (let x = 0; x < calls; x++) work(x, ms);
  return (await work.submit({ quiet: true })) as Tag<number>;
}

async function expectAll(tag: Tag<number>): Promise<void> {
  const indices = Array.from({ length: tag.length }, (_, x) => x);
  expect(await collect(tag.results())).toEqual(indices);
  const said = await shell(
    `nats --context humq-main stream subjects KV_humq_results_USER '$KV.humq_results_USER.*.*.${tag.name}.*' --json`,
  );
  expect(Object.values(JSON.parse(said) as Record<string, number>)).toEqual(indices.map(() => 1));
}

describe.skipIf(nats === undefined)("three servers", () => {
  test("an instance moves there with what it holds", async () => {
    user = (JSON.parse(await shell("humq nats-context --json")) as { user: string }).user;
    using tag = await submitted(20, 0);
    await follow("account backup backup-hub");
    await single.stop();
    const conf = BLOCKS.find(({ language }) => language === "conf")!.text;
    nodes = await makeNodes((await findNatsServer()).path, directory.path, single, (number, routes) =>
      conf
        .replace('"humq-1"', `"humq-${number + 1}"`)
        .replace("0.0.0.0:6222", routes[number]!)
        .replace(/nats(\d)\.example\.org:6222/g, (_, other: string) => routes[Number(other) - 1]!),
    );
    await Promise.all(nodes.map((node) => node.start()));
    await succeeds("the servers to find each other", "-hub server check jetstream");
    await follow("for folder in backup-hub");
    await follow("stream edit");
    await allWell();
    await follow("humq link");
    expect(await replicas("humq-main")).toEqual([3, 3, 3, 3, 3, 3, 3]);
    expect(await replicas("humq-main-hub")).toEqual([3, 3, 3]);
    await follow("step-down");
    await using _worker = await startWorker();
    expect(await tag.pull({ blocking: true, quiet: true })).toBe(0);
    await expectAll(tag);
  }, 120_000);

  test("whoever is let in now gets three replicas, and may be let in again", async () => {
    const home = join(directory.path, "ada");
    const link = (await shell("humq link")).trim();
    const asked = await runProgram(process.execPath, [PROGRAM, "request", link], { env: { ...env, HUMQ_HOME: home } });
    for (let times = 0; times < 2; times++) {
      const granted = await runProgram(process.execPath, [PROGRAM, "grant", asked.stdout.trim(), "ada"], { env });
      expect(granted.code, granted.stderr).toBe(0);
    }
    await shell("humq nats-context --account ada");
    expect(await replicas("humq-main-ada")).toEqual([3, 3, 3, 3, 3, 3, 3]);
    await shell("humq init --finish");
  });

  test("one is killed while calls run", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(400, 20);
    const pulled = tag.pull({ blocking: true, quiet: true });
    await until(
      "calls to have ended",
      () => tag.nResults,
      (ended) => ended > 20,
    );
    // The one that everybody is connected to.
    await nodes[0]!.stop("SIGKILL");
    expect(await pulled).toBe(0);
    await nodes[0]!.start();
    await allWell();
    await expectAll(tag);
  }, 120_000);

  test("each is restarted while calls run", async () => {
    await using _worker = await startWorker();
    using tag = await submitted(600, 20);
    const pulled = tag.pull({ blocking: true, quiet: true });
    for (const node of nodes) {
      await allWell();
      await node.stop();
      await node.start();
    }
    await allWell();
    expect(await pulled).toBe(0);
    await expectAll(tag);
    using again = await Tag.fromQueue<number>(tag.name);
    expect(await again.pull({ quiet: true })).toBe(0);
    expect(readFileSync(join(nodes[2]!.folder, "nats.conf"), "utf8")).toContain("humq-3");
  }, 120_000);
});
