/** `humq up` as a user runs it: starts, stops, starts again, and what can be in the way. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findFreePort } from "../../core/instance/server/index.ts";
import { Home, startUp, type UpJson } from "../support/cli.ts";
import { temporaryDirectory } from "../support/tools.ts";

interface ErrorJson {
  error: { code: string; message: string };
}

/** Whether a process is there; one that has ended and waits for its parent counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function serverPid(home: Home): number {
  const path = join(home.path, "instances/local/server/store/humq-server.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { pid: number }).pid;
}

/** Somebody else on a port. */
async function occupy(port: number): Promise<AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

test("up, ping, Ctrl-C, up again: the same instance, port and data; no process stays", async () => {
  using home = new Home();
  const first = await startUp(home, ["--slots", "1"]);
  const { server, link, worker } = first.json;
  expect(first.json).toMatchObject({ instance: "local", worker: { datacenter: "local", slots: 1 } });
  expect(link).toMatch(/^humq:\/\/127\.0\.0\.1:\d+\/local\?root=O/);
  expect(first.up.stderr).toContain(`Worker ${worker?.name} serves datacenter "local" with 1 slot. Isolation: `);
  const ping = await home.json(["ping"]);
  expect([ping.code, ping.json]).toEqual([
    0,
    {
      instance: "local",
      server: server.replace("nats://", ""),
      serverVersion: first.json.serverVersion,
      name: expect.any(String),
      role: "admin",
      roundTripMs: expect.any(Number),
    },
  ]);
  const users = await home.json(["users"]);
  expect(users.json).toMatchObject([
    { name: "local", role: "worker", datacenters: ["local"], expiresMs: 0 },
    { role: "admin", datacenters: [] },
  ]);
  const pid = serverPid(home);
  const stopped = await first.up.stop("SIGINT");
  expect([stopped.code, isAlive(pid)]).toEqual([0, false]);
  const gone = await home.json<ErrorJson>(["ping"]);
  expect([gone.code, gone.json.error.code]).toEqual([1, "broker"]);

  const second = await startUp(home, ["--no-worker"]);
  expect(second.json).toMatchObject({ link, server, worker: null });
  expect((await home.json(["users"])).json).toEqual(users.json);
  expect((await second.up.stop("SIGTERM")).code).toBe(0);
});

describe("while one runs", () => {
  let home: Home;
  let running: Awaited<ReturnType<typeof startUp>>;
  beforeAll(async () => {
    home = new Home();
    running = await startUp(home, ["--no-worker"]);
  });
  afterAll(async () => {
    await running.up.stop();
    home[Symbol.dispose]();
  });

  test("a second one says so and harms nothing", async () => {
    const { code, json } = await home.json<ErrorJson>(["up", "--port", "0"]);
    expect(code).toBe(1);
    expect(json.error).toEqual({
      code: "instance",
      message:
        `This instance is running already: process ${serverPid(home)}, ${running.json.server}. ` +
        "Use that one, or stop it first (Ctrl-C where it was started).",
    });
    expect((await home.run(["ping"])).code).toBe(0);
  });

  test("another instance runs beside it; --instance and HUMQ_INSTANCE choose", async () => {
    const other = await startUp(home, ["--no-worker", "--instance", "other"]);
    const ask = async (args: string[], env = {}) =>
      (await home.json<{ instance: string }>(["ping", ...args], { env })).json.instance;
    expect(await ask([])).toBe("local");
    expect(await ask(["--instance", "other"])).toBe("other");
    expect(await ask([], { HUMQ_INSTANCE: "other" })).toBe("other");
    await other.up.stop();
  });

  test("humq up is no way to start an instance of somebody else", async () => {
    using friend = new Home();
    await friend.run(["request", running.json.link]);
    const { code, stderr } = await friend.run(["up", "--instance", "local"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/"local" is an instance you joined, not one of yours: its root key is not here\./);
  });
});

test("Ctrl-C while a new instance is made leaves nothing of it", async () => {
  using home = new Home();
  const starting = home.start(["up", "--no-worker"]);
  await starting.until(/Making the instance/);
  const { code, stdout, stderr } = await starting.stop("SIGINT");
  expect([code, stdout, stderr]).toEqual([
    130,
    "",
    'Making the instance "local"\nhumq: stopped before the instance was up\n',
  ]);
  expect(readdirSync(join(home.path, "instances"))).toEqual([]);
});

test("killed without warning, it takes the broker with it, and starts again with its data", async () => {
  using home = new Home();
  const first = await startUp(home, ["--no-worker"]);
  const pid = serverPid(home);
  await first.up.stop("SIGKILL");
  const second = await startUp(home, ["--no-worker"]);
  expect(isAlive(pid)).toBe(false);
  expect(second.json.link).toBe(first.json.link);
  await second.up.stop();
});

test("when its port was taken meanwhile, it takes another and the link follows", async () => {
  using home = new Home();
  const first = await startUp(home, ["--no-worker"]);
  await first.up.stop();
  const port = Number(new URL(first.json.server).port);
  await using _other = await occupy(port);
  const second = await startUp(home, ["--no-worker"]);
  expect(second.json.server).not.toBe(first.json.server);
  expect(second.json.link).toContain(second.json.server.replace("nats:", ""));
  expect((await home.run(["ping"])).code).toBe(0);
  await second.up.stop();
  const asked = await home.json<ErrorJson>(["up", "--port", String(port)]);
  expect(asked.json.error.message).toMatch(
    new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken by another program\\.`),
  );
});

describe("what is in the way of a new instance leaves nothing of it behind", () => {
  /** Runs `up` and returns its message; afterwards there is no instance, not even as the default. */
  async function refused(home: Home, args: string[], env: Record<string, string> = {}): Promise<string> {
    const { code, json } = await home.json<ErrorJson>(["up", "--no-worker", ...args], { env });
    expect([code, json.error.code]).toEqual([1, "instance"]);
    const instances = join(home.path, "instances");
    expect(existsSync(instances) ? readdirSync(instances) : []).toEqual([]);
    expect(existsSync(join(home.path, "default"))).toBe(false);
    return json.error.message;
  }

  /** A nats-server that says it is of some version. */
  function pretender(directory: { path: string }, version: string): string {
    const path = join(directory.path, "nats-server");
    writeFileSync(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test("a port that is taken", async () => {
    using home = new Home();
    const port = await findFreePort();
    await using _other = await occupy(port);
    expect(await refused(home, ["--port", String(port)])).toMatch(
      new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken by another program\\. Choose another with --port N`),
    );
  });

  test("a server that is too old", async () => {
    using home = new Home();
    using directory = temporaryDirectory();
    const path = pretender(directory, "2.9.1");
    expect(await refused(home, [], { HUMQ_NATS_SERVER: path })).toBe(
      `HUMQ_NATS_SERVER names ${path}, which is nats-server 2.9.1: too old. ` +
        "Set HUMQ_NATS_SERVER to a nats-server 2.15.0 or newer, or unset it.",
    );
  });

  test("a server that does not start", async () => {
    using home = new Home();
    using directory = temporaryDirectory();
    const path = pretender(directory, "2.15.1");
    const { code, stderr } = await home.run(["up", "--no-worker"], { env: { HUMQ_NATS_SERVER: path } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/nats-server did not start with .*nats\.conf/);
    expect(readdirSync(join(home.path, "instances"))).toEqual([]);
  });

  test("no way to get a server", async () => {
    using home = new Home();
    using directory = temporaryDirectory();
    const cache = join(directory.path, "file");
    writeFileSync(cache, "");
    expect(await refused(home, [], { PATH: directory.path, HUMQ_CACHE: cache })).toMatch(
      /^nats-server has to be fetched, and the cache directory .*file cannot be written/,
    );
  });

  test("a place that cannot be written", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "file");
    writeFileSync(file, "");
    using home = new Home({ HUMQ_HOME: join(file, "home") });
    const { code, json } = await home.json<ErrorJson>(["up", "--no-worker"]);
    expect([code, json.error.code]).toEqual([1, "instance"]);
    expect(json.error.message).toMatch(
      /^cannot write .*instances\/local: ENOTDIR.* choose another place with HUMQ_HOME\.$/,
    );
  });
});

test("a store that cannot be written is named, and the instance stays as it was", async () => {
  using home = new Home();
  const first = await startUp(home, ["--no-worker"]);
  await first.up.stop();
  const store = join(home.path, "instances/local/server/store");
  rmSync(store, { recursive: true });
  mkdirSync(dirname(store), { recursive: true });
  writeFileSync(store, "in the way");
  const { code, json } = await home.json<ErrorJson>(["up", "--no-worker"]);
  expect([code, json.error.code]).toEqual([1, "instance"]);
  expect(json.error.message).toMatch(/^The broker cannot write its store .*\/store: /);
  rmSync(store);
  const { up, json: again } = await startUp(home, ["--no-worker"]);
  expect((again as UpJson).link).toBe(first.json.link);
  await up.stop();
});

test("a broker that ends by itself ends humq up with an error", async () => {
  using home = new Home();
  const { up } = await startUp(home, ["--no-worker"]);
  process.kill(serverPid(home), "SIGKILL");
  const { code, stderr } = await up.finished;
  expect([code, stderr]).toEqual([1, expect.stringContaining("humq: the broker ended unexpectedly.")]);
});

test("a damaged root key is not replaced", async () => {
  using home = new Home();
  const first = await startUp(home, ["--no-worker"]);
  await first.up.stop();
  const path = join(home.path, "instances/local/root.seed");
  writeFileSync(path, "junk\n");
  const { code, json } = await home.json<ErrorJson>(["up", "--no-worker"]);
  expect([code, json.error.code]).toEqual([1, "instance"]);
  expect(readFileSync(path, "utf8")).toBe("junk\n");
});
