/** Does what docs/operations.md says, block by block, with the real nats command. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Tag, task } from "../../core/index.ts";
import { PROGRAM, ROOT } from "../support/cli.ts";
import { collect } from "../support/collect.ts";
import { startInstance, type TestInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { blocksOf } from "../support/markdown.ts";
import { natsCommand } from "../support/nats-cli.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

/** Those for several servers are run by cluster.test.ts, those on keys by rotation.test.ts. */
const ELSEWHERE = [
  "Moving to three servers",
  "Upgrading the server",
  "Replacing a datacenter's key",
  "Replacing the root key",
];
const BLOCKS = blocksOf(join(ROOT, "docs", "operations.md")).filter(
  ({ language, section }) => language === "sh" && !ELSEWHERE.includes(section),
);
const directory = temporaryDirectory("humq operations ");
const nats = await natsCommand();

let instance: TestInstance;
let env: Record<string, string | undefined>;
let tag: Tag<number>;
/** One with calls that have not run. */
let open: Tag<number>;

async function shell(text: string) {
  return runProgram("bash", ["-euc", text], { cwd: directory.path, env, timeoutMs: 60_000 });
}

beforeAll(async () => {
  instance = await startInstance({ instance: "lab" });
  const bin = join(directory.path, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "humq"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  chmodSync(join(bin, "humq"), 0o755);
  const PATH = [bin, ...(nats === undefined ? [] : [nats]), process.env.PATH].join(":");
  env = { ...instance.env, XDG_CONFIG_HOME: join(directory.path, "config"), PATH };
  const work = task((x: number) => {
    console.log(`printed ${x}`);
    return x;
  });
  for (const x of [1, 2, 3]) work(x);
  tag = await work.submit();
  await tag.wait();
  await using gate = await Gate.start();
  const held = task(async (url: string, x: number) => {
    await fetch(`${url}/${x}`);
    return x;
  });
  // More than a worker takes ahead.
  for (let x = 0; x < 50; x++) held(gate.url, x);
  open = await held.submit();
  await open.pause();
  gate.open(...Array.from({ length: 50 }, (_, x) => x));
});
afterAll(async () => {
  tag?.close();
  open?.close();
  await instance?.stop();
  directory[Symbol.dispose]();
});

interface Written {
  context: string;
  path: string;
  credentials: string;
  user: string;
}

test("nats-context writes a context and credentials that nobody else can read", async () => {
  const { code, stdout } = await shell("humq nats-context --json");
  expect(code).toBe(0);
  const written = JSON.parse(stdout) as Written;
  expect(written.context).toBe("humq-lab");
  expect(written.path).toBe(join(directory.path, "config", "nats", "context", "humq-lab.json"));
  expect(JSON.parse(readFileSync(written.path, "utf8"))).toMatchObject({
    url: expect.stringMatching(/^nats:\/\/127\.0\.0\.1:\d+$/),
    creds: written.credentials,
  });
  expect(written.credentials.startsWith(instance.env.HUMQ_HOME)).toBe(true);
  for (const path of [written.path, written.credentials]) expect(statSync(path).mode & 0o777).toBe(0o600);
});

describe.skipIf(nats === undefined)("docs/operations.md", () => {
  test("every command does what it says", async () => {
    const { user } = JSON.parse((await shell("humq nats-context --json")).stdout) as Written;
    const words = (text: string, of: Tag = tag) =>
      text
        .replaceAll("humq-INSTANCE", "humq-lab")
        .replaceAll("USER", user)
        .replaceAll("TAG", of.name)
        .replaceAll("NAME", userInfo().username);
    const said = new Map<string, string>();
    expect(BLOCKS.length).toBeGreaterThan(8);
    for (const { text } of BLOCKS) {
      for (const line of text.trim().split("\n")) {
        const about = text.includes("consumer rm") ? open : tag;
        const { code, stdout, stderr } = await shell(words(line, about));
        expect(code, `${line}\n${stdout}\n${stderr}`).toBe(0);
        said.set(line, stdout);
      }
    }
    const of = (part: string) => [...said].find(([line]) => line.includes(part))?.[1] ?? "";
    expect(of("stream ls --all")).toContain(`HUMQ_CALLS_${user}`);
    expect(of("kv ls humq_tags")).toContain(`close.${tag.name}`);
    expect(of("stream subjects")).toContain(`result.local.${tag.name}.2`);
    expect(of("consumer info")).toMatch(/Unprocessed Messages: 0/);
    expect(of("consumer info")).toMatch(/Outstanding Acks: 0/);
    expect(of("consumer info")).toMatch(/Redelivered Messages: 0/);
    expect(of("consumer info")).toMatch(/Waiting Pulls: \d+/);
    expect(of("check connection")).toMatch(/^OK /);
    expect(of("-hub stream report")).toContain("KV_humq_grants");
    // The queue that was deleted is there again, and what had not run runs.
    expect(await open.pull({ blocking: true, quiet: true })).toBe(0);
    // What was printed is back from the backup, made after the purge.
    const logs = await shell(words("nats --context humq-lab stream info HUMQ_LOGS_USER --json"));
    expect(JSON.parse(logs.stdout)).toMatchObject({ state: { messages: 0 } });
    expect(await tag.pull()).toBe(0);
    expect(await tag.call(1).run()).toBe(2);
  });

  test("after a restore to an older state what was lost runs again, once", async () => {
    const { user } = JSON.parse((await shell("humq nats-context --json")).stdout) as Written;
    const results = `KV_humq_results_${user}`;
    const work = task((x: number) => x);
    for (let x = 0; x < 10; x++) work(x);
    using early = await work.submit();
    await early.pull({ blocking: true, quiet: true });
    expect((await shell(`nats --context humq-lab stream backup ${results} older`)).code).toBe(0);
    for (let x = 0; x < 30; x++) work(x);
    using later = await work.submit();
    // It reads on from where it was: the numbers after that are given a second time below.
    await later.pull({ blocking: true, quiet: true, subset: [3] });
    await later.pull({ quiet: true });
    await later.wait();
    for (const command of [`stream rm ${results} --force`, "stream restore older"])
      expect((await shell(`nats --context humq-lab ${command}`)).code).toBe(0);
    using again = await Tag.fromQueue<number>(later.name);
    const numbers = Array.from({ length: 30 }, (_, x) => x);
    for (const one of [again, later]) {
      expect(await one.pull({ blocking: true, quiet: true })).toBe(0);
      expect(await collect(one.results())).toEqual(numbers);
    }
    expect(await early.pull()).toBe(0);
    expect(await later.status()).toMatchObject({ succeeded: 30, errors: 0, pending: 0 });
  });
});
