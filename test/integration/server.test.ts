import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findRunningServer, NatsServer } from "../../core/instance/server/index.ts";
import {
  connectAs,
  makeAccount,
  makeOperator,
  pushAccount,
  serverBinary,
  type TestOperator,
  temporaryDirectory,
  writeTestConfig,
} from "../support/tools.ts";

vi.setConfig({ testTimeout: 60_000 });
/** The first time on a machine, the server may have to be built. */
beforeAll(serverBinary, 600_000);

/** Blanks, quotes, a backslash and a `$` that nats.conf could take for a variable. */
const AWKWARD = "humq \"it's\\ $HOME ";

describe("a server with the configuration humq writes", () => {
  const directory = temporaryDirectory(AWKWARD);
  const storeDir = join(directory.path, "store");
  let operator: TestOperator;
  let server: NatsServer;

  beforeAll(async () => {
    operator = await makeOperator();
    server = await NatsServer.start({
      binary: await serverBinary(),
      configPath: writeTestConfig(directory.path, operator, { storeDir, jwtDir: join(directory.path, 'jwt "$USER"') }),
      storeDir,
      logPath: join(directory.path, "server.log"),
      port: 0,
    });
  });

  afterAll(async () => {
    await server.stop();
    directory[Symbol.dispose]();
  });

  test("listens on loopback with JetStream and the asked payload", () => {
    expect(server.url).toBe(`nats://127.0.0.1:${server.port}`);
    expect(server.info).toMatchObject({ jetstream: true, maxPayloadBytes: 8 << 20, serverName: "test" });
  });

  test("lets the system account in, and nobody without a token", async () => {
    const system = await connectAs(server.url, operator.system);
    const answer = await system.request("$SYS.REQ.SERVER.PING.JSZ");
    const { data } = answer.json<{ data: { config: { max_storage: number; sync_interval: number } } }>();
    expect(data.config).toMatchObject({ max_storage: 2 ** 52, sync_interval: 1_000_000_000 });
    await system.close();
    const stranger = await makeOperator();
    await expect(connectAs(server.url, stranger.system)).rejects.toThrow(/authorization/i);
  });

  test("takes accounts while it runs; their quotas add up to far more than the disk", async () => {
    for (let i = 0; i < 3; i++) {
      const { account, token } = await makeAccount(operator, 20 * 2 ** 40);
      await pushAccount(server.url, operator, token);
      const connection = await connectAs(server.url, account);
      const manager = await jetstreamManager(connection);
      await manager.streams.add({ name: "S", subjects: ["s.>"], max_bytes: 2 ** 40 });
      expect((await manager.streams.info("S")).config.name).toBe("S");
      await connection.close();
    }
  });

  test("keeps its state where only the owner can read it", async () => {
    expect(await findRunningServer(storeDir)).toEqual({
      pid: server.pid,
      host: "127.0.0.1",
      port: server.port,
      url: server.url,
    });
    expect(statSync(join(storeDir, "humq-server.json")).mode & 0o777).toBe(0o600);
    expect(statSync(storeDir).mode & 0o777).toBe(0o700);
  });

  test("a second server on the same store is refused, and says where the first one is", async () => {
    const second = NatsServer.start({
      binary: await serverBinary(),
      configPath: join(directory.path, "nats.conf"),
      storeDir,
      logPath: join(directory.path, "second.log"),
      port: 0,
    });
    await expect(second).rejects.toMatchObject({
      name: "AlreadyRunningError",
      message: `This instance is running already: process ${server.pid}, ${server.url}. Use that one, or stop it first (Ctrl-C where it was started).`,
      running: { pid: server.pid, port: server.port },
    });
  });

  test("also when the store is reached by another way", async () => {
    symlinkSync(directory.path, `${directory.path}-link`);
    const elsewhere = join(`${directory.path}-link`, "store");
    expect((await findRunningServer(elsewhere))?.pid).toBe(server.pid);
    const second = NatsServer.start({
      binary: await serverBinary(),
      configPath: join(directory.path, "nats.conf"),
      storeDir: elsewhere,
      logPath: join(directory.path, "second.log"),
      port: 0,
    });
    await expect(second).rejects.toThrow("running already");
    rmSync(`${directory.path}-link`);
  });

  test("the program itself finds no fault with the configuration, also one with TLS and monitoring", async () => {
    const configPath = writeTestConfig(join(directory.path, "checked"), operator, {
      monitorPort: 8222,
      logPath: join(directory.path, "checked", "server.log"),
      pidPath: join(directory.path, "checked", "server.pid"),
      syncInterval: "always",
      tls: makeCertificate(directory.path),
    });
    execFileSync(await serverBinary(), ["-t", "-c", configPath], { cwd: join(directory.path, "checked") });
  });
});

test("stops in order, frees its port and store, and finds its data again", async () => {
  using directory = temporaryDirectory();
  const operator = await makeOperator();
  const { account, token } = await makeAccount(operator);
  const options = {
    binary: await serverBinary(),
    configPath: writeTestConfig(directory.path, operator),
    storeDir: join(directory.path, "store"),
    logPath: join(directory.path, "server.log"),
  };
  const first = await NatsServer.start({ ...options, port: 0 });
  await pushAccount(first.url, operator, token);
  const connection = await connectAs(first.url, account);
  await (await jetstreamManager(connection)).streams.add({ name: "KEPT", subjects: ["kept"] });
  await connection.close();
  await first.stop();
  await first.stop();
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(await findRunningServer(options.storeDir)).toBeUndefined();

  const second = await NatsServer.start({ ...options, port: first.port });
  const again = await connectAs(second.url, account);
  expect((await (await jetstreamManager(again)).streams.info("KEPT")).config.subjects).toEqual(["kept"]);
  await again.close();
  await second.stop();
  expect(readFileSync(options.logPath, "utf8").match(/Server is ready/g)).toHaveLength(2);
});

test("a state file left by a crash keeps nobody out, whoever has its process id now", async () => {
  using directory = temporaryDirectory();
  const storeDir = join(directory.path, "store");
  const options = {
    binary: await serverBinary(),
    configPath: writeTestConfig(directory.path, await makeOperator()),
    storeDir,
    logPath: join(directory.path, "server.log"),
    port: 0,
  };
  await (await NatsServer.start(options)).stop();
  const state = { pid: process.pid, host: "127.0.0.1", port: 1, url: "nats://127.0.0.1:1" };
  for (const text of [JSON.stringify(state), '{"pid":', ""]) {
    writeFileSync(join(storeDir, "humq-server.json"), text);
    await (await NatsServer.start(options)).stop();
  }
});

function makeCertificate(directory: string): { cert: string; key: string; ca: string } {
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...request, "-subj", "/CN=localhost", "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key, ca: cert };
}
