/** An instance on a real server: its owner, a datacenter and a person, each with a HUMQ_HOME of their own. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findFreePort } from "../../core/instance/server/index.ts";
import { Home } from "../support/cli.ts";
import { Running } from "../support/processes.ts";
import { temporaryProject } from "../support/script.ts";
import { serverBinary, temporaryDirectory } from "../support/tools.ts";

interface ErrorJson {
  error: { code: string; message: string };
}

interface InitJson {
  instance: string;
  link: string;
  configPath: string;
  datacenter: string;
}

const folder = temporaryDirectory("humq server ");
const serverFolder = join(folder.path, "humq-server");
const owner = new Home();
let port: number;
let made: InitJson;
let server: Running;

beforeAll(async () => {
  port = await findFreePort();
  const args = ["init", "--instance", "cluster", "--host", "127.0.0.1", "--port", String(port), "--dir", serverFolder];
  const { code, json } = await owner.json<InitJson>(args);
  expect(code).toBe(0);
  made = json;
});
afterAll(async () => {
  await server?.stop();
  owner[Symbol.dispose]();
  folder[Symbol.dispose]();
});

test("init writes keys here and the configuration there, and nothing secret into it", () => {
  expect(made).toEqual({
    instance: "cluster",
    link: expect.stringMatching(`^humq://127\\.0\\.0\\.1:${port}/cluster\\?root=O`),
    configPath: join(serverFolder, "nats.conf"),
    datacenter: "main",
  });
  expect(readdirSync(serverFolder).sort()).toEqual(["accounts", "nats.conf", "store"]);
  const seed = readFileSync(join(owner.path, "instances/cluster/root.seed"), "utf8").trim();
  expect(readFileSync(made.configPath, "utf8")).not.toContain(seed);
});

test("init twice, or over somebody's configuration, changes nothing", async () => {
  const config = readFileSync(made.configPath);
  const again = await owner.json<ErrorJson>(["init", "--instance", "other", "--host", "h", "--dir", serverFolder]);
  expect([again.code, again.json.error.message]).toEqual([
    1,
    `${made.configPath} is there already, and is not overwritten. Name another folder with --dir.`,
  ]);
  expect(existsSync(join(owner.path, "instances/other"))).toBe(false);
  const elsewhere = join(folder.path, "elsewhere");
  const same = await owner.json<ErrorJson>(["init", "--instance", "cluster", "--host", "h", "--dir", elsewhere]);
  expect([same.code, same.json.error.code, existsSync(elsewhere)]).toEqual([1, "instance", false]);
  expect(readFileSync(made.configPath)).toEqual(config);
});

test("a host that cannot be one leaves nothing behind", async () => {
  const { code, json } = await owner.json<ErrorJson>([
    "init",
    "--instance",
    "bad",
    "--host",
    "a b",
    "--dir",
    folder.path,
  ]);
  expect([code, json.error.message]).toEqual([
    2,
    'host: expected a name or an address such as nats.example.org, got "a b"',
  ]);
  expect(existsSync(join(owner.path, "instances/bad"))).toBe(false);
});

test("before the server runs, finishing says that it cannot be reached", async () => {
  const { code, json } = await owner.json<ErrorJson>(["init", "--finish"]);
  expect([code, json.error.code]).toEqual([1, "broker"]);
  const up = await owner.json<ErrorJson>(["up", "--instance", "cluster"]);
  expect(up.json.error.message).toMatch(/^"cluster" was made by humq init for a server of its own: start that one/);
});

test("server, owner, datacenter and person: a call runs on another machine's worker", async () => {
  server = new Running(await serverBinary(), ["-c", "nats.conf"], { cwd: serverFolder, timeoutMs: 600_000 });
  await server.until(/Server is ready/);

  // The owner's first command finishes the set-up by itself, and says so.
  const ping = await owner.run(["ping"]);
  expect([ping.code, ping.stderr]).toEqual([
    0,
    'Finished the set-up of "cluster" on its server (first datacenter: main).\n',
  ]);
  const finished = await owner.json(["init", "--finish"]);
  expect([finished.code, finished.json]).toEqual([0, { instance: "cluster", finished: false }]);

  using machine = new Home();
  const datacenter = await machine.json<{ request: string }>(["request", made.link, "--datacenter", "gpu"]);
  const early = await machine.json<ErrorJson>(["worker"]);
  expect([early.code, early.json.error.message]).toEqual([
    1,
    expect.stringContaining("has not granted you access yet"),
  ]);
  const grant = await owner.json(["grant", datacenter.json.request, "gpu", "--role", "worker"]);
  expect(grant.json).toMatchObject({ name: "gpu", role: "worker", datacenters: ["gpu"] });
  await using worker = machine.start(["worker", "--slots", "1", "--unsafe", "--json"], { timeoutMs: 600_000 });
  await worker.until(/^\}\n/m);
  expect(JSON.parse(worker.stdout)).toMatchObject({ datacenter: "gpu", slots: 1, instance: "cluster" });

  using person = new Home();
  const asked = await person.json<{ request: string }>(["request", made.link]);
  await owner.run(["grant", asked.json.request, "ann", "--datacenter", "gpu"]);
  using project = temporaryProject({ "square.ts": "export const square = (x: number): number => x * x;\n" });
  const options = { cwd: project.path };
  const submitted = await person.json<{ tag: string }>(["submit", "square.ts", "--args", "-"], {
    ...options,
    input: "[7]\n",
  });
  const pulled = await person.json(["pull", submitted.json.tag, "square.db", "--wait"], options);
  expect(pulled.json).toMatchObject({
    tag: submitted.json.tag,
    file: "square.db",
    calls: 1,
    results: 1,
    errors: 0,
    open: 0,
  });
  expect((await person.run(["results", "square.db"], options)).stdout).toBe('{"index":0,"value":49}\n');

  const stopped = await worker.stop("SIGINT");
  expect(stopped.code).toBe(0);
});

test("the file's own comment holds: what the owner adds to it stays", async () => {
  const text = readFileSync(made.configPath, "utf8");
  writeFileSync(made.configPath, `${text}\n# mine\n`);
  await owner.run(["init", "--instance", "third", "--host", "h", "--dir", serverFolder]);
  expect(readFileSync(made.configPath, "utf8")).toBe(`${text}\n# mine\n`);
});
