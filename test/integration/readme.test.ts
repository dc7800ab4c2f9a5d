/** Does what the README says, block by block, in the order in which it says it. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFreePort, findNatsServer } from "../../core/instance/server/index.ts";
import { type Block, blocksOf } from "../support/markdown.ts";
import { Running, runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const README = blocksOf(join(ROOT, "README.md"));

function section(name: string): Block[] {
  const blocks = README.filter((block) => block.section === name && block.language === "sh");
  if (blocks.length === 0) throw new Error(`the README has no commands under "${name}"`);
  return blocks;
}

/** The section on limits and controls, and the whole commands in its table. */
const SEEN = (() => {
  const name = "While it runs, and when things go wrong";
  const [, text = ""] = readFileSync(join(ROOT, "README.md"), "utf8").split(`## ${name}\n`);
  const [own = ""] = text.split("\n## ");
  const commands = [...own.matchAll(/^\| `(humq \S+ last[^`]*)`/gm)].map((match) => match[1]!);
  return [name, ...commands];
})();

const directory = temporaryDirectory("humq readme ");
const work = join(directory.path, "try-humq");
const homes = { laptop: "laptop", owner: "owner", cluster: "cluster", ada: "ada" };
for (const [name, folder] of Object.entries(homes)) homes[name as keyof typeof homes] = join(directory.path, folder);

function environment(home: string) {
  return { HUMQ_HOME: home, HUMQ_INSTANCE: undefined };
}

/** A command that stays, started without npx between, which would keep signals from it. */
function stays(text: string, home: string): Running {
  const script = `exec ${text.trim().replace("npx humq", "./node_modules/.bin/humq")}`;
  return new Running("bash", ["-c", script], { cwd: work, env: environment(home), timeoutMs: 170_000 });
}

/** Runs a block in a shell, as somebody, with the words that stand for something of theirs put in. */
async function shell(text: string, home: string, words: Record<string, string> = {}, cwd = work) {
  const script = Object.entries(words).reduce((filled, [word, value]) => filled.replaceAll(word, value), text);
  const ended = await runProgram("bash", ["-euc", script], { cwd, env: environment(home), timeoutMs: 180_000 });
  expect(ended, `${script}\n${ended.stderr}`).toMatchObject({ code: 0 });
  return ended.stdout.trim();
}

afterAll(() => directory[Symbol.dispose]());

beforeAll(async () => {
  // What is built already is packed as it is: building again would take the program away from the tests beside this one.
  const pack = ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory.path];
  const { stdout, status, stderr } = spawnSync("npm", pack, { cwd: ROOT, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
  const tarball = join(directory.path, stdout.trim().split("\n").at(-1)!);
  const [install] = section("Five minutes on your laptop");
  await shell(install!.text, homes.laptop, { "npm install humq": `npm install '${tarball}'` }, directory.path);
  const program = README.find((block) => block.language === "ts");
  writeFileSync(join(work, "costly.ts"), program!.text);
  const power = "export function power(a: number, b: number) { return a ** b; }";
  expect(JSON.stringify(section("Five minutes on your laptop"))).toContain("power.ts#power");
  writeFileSync(join(work, "power.ts"), power);
});

describe("five minutes on your laptop", () => {
  const [, up, script, command, sqlite] = section("Five minutes on your laptop");
  let instance: Running;

  beforeAll(async () => {
    instance = stays(up!.text, homes.laptop);
    await instance.until(/humq:\/\//);
  });
  afterAll(async () => {
    const ended = await instance.stop("SIGINT");
    expect(ended.code).toBe(0);
  });

  it("runs the program at the top", async () => {
    const lines = (await shell(script!.text, homes.laptop)).split("\n");
    expect(lines).toEqual(Array.from({ length: 1000 }, (_, a) => String(a ** 2)));
  });

  it("limits a tag, and looks at it and into it", async () => {
    const [whole, ...rows] = SEEN;
    const program = README.find(({ language }) => language === "ts")!.text;
    const limited = README.find((block) => block.section === whole && block.language === "ts")!.text;
    expect(program).toContain("const tag = await costly.submit(); ");
    writeFileSync(join(work, "limited.ts"), program.replace("const tag = await costly.submit(); ", limited));
    await shell("node limited.ts", homes.laptop);
    expect(rows.length).toBeGreaterThanOrEqual(5);
    for (const row of rows) await shell(`npx ${row}`, homes.laptop);
    for (const row of ["pause", "concurrency", "resume", "cancel", "retry"])
      await shell(`npx humq ${row} last`, homes.laptop);
  });

  it("submits from the command line and keeps an archive", async () => {
    const output = (await shell(command!.text, homes.laptop)).split("\n");
    expect(output[0]).toMatch(/^power_/);
    const lines = output.slice(-100).map((line) => JSON.parse(line));
    expect(lines[9]).toMatchObject({ index: 9, value: 100 });
    if (spawnSync("sqlite3", ["--version"]).error === undefined) {
      expect(Number(await shell(sqlite!.text, homes.laptop))).toBe(338_350);
    } else {
      console.warn("SKIPPED: there is no sqlite3 here to look into the archive with");
    }
  });
});

describe("a worker on another machine", () => {
  const [make, askWorker, grantWorker, worker, askAda] = section("A worker on another machine");

  it("is brought in by the commands shown", async () => {
    const port = String(await findFreePort());
    const [init, finish] = make!.text.trim().split("\n");
    const link = await shell(init!, homes.owner, { SERVER: "127.0.0.1", "4222": port });
    expect(link).toMatch(/^humq:/);
    const server = join(directory.path, "srv");
    mkdirSync(server);
    cpSync(join(work, "humq-server"), join(server, "humq-server"), { recursive: true });
    const { path } = await findNatsServer();
    await using broker = new Running(path, ["-c", "nats.conf", "-a", "127.0.0.1"], {
      cwd: join(server, "humq-server"),
      timeoutMs: 170_000,
    });
    await broker.until(/Server is ready/);
    await shell(finish!, homes.owner);

    const request = await shell(askWorker!.text, homes.cluster, { LINK: `'${link}'` });
    expect(request).toMatch(/^ADD-USER_/);
    await shell(grantWorker!.text, homes.owner, { "ADD-USER_...": request });
    await using running = stays(`${worker!.text.trim()} --unsafe`, homes.cluster);
    await running.until(/serves datacenter "cluster"/);

    const [ask, grant] = askAda!.text.trim().split("\n");
    const adasRequest = await shell(ask!, homes.ada, { LINK: `'${link}'` });
    await shell(grant!, homes.owner, { "ADD-USER_...": adasRequest });
    expect(await shell("npx humq ping", homes.ada)).toContain("ada");
    const lines = (await shell("node costly.ts", homes.ada)).split("\n");
    expect(lines.at(-1)).toBe(String(999 ** 2));
    await running.stop("SIGINT");
  });
});
