import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test, vi } from "vitest";
import { findRunningServer, NatsServer, readServerInfo } from "../../core/instance/server/index.ts";
import { makeOperator, serverBinary, temporaryDirectory, writeTestConfig } from "../support/tools.ts";

vi.setConfig({ testTimeout: 60_000 });
/** The first time on a machine, the server may have to be built. */
beforeAll(serverBinary, 600_000);

async function optionsIn(directory: string) {
  return {
    binary: await serverBinary(),
    configPath: writeTestConfig(directory, await makeOperator()),
    storeDir: join(directory, "store"),
    logPath: join(directory, "server.log"),
    port: 0,
  };
}

test("a port that is taken: which one, and how to choose another", async () => {
  using directory = temporaryDirectory();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const options = await optionsIn(directory.path);
  await expect(NatsServer.start({ ...options, port })).rejects.toMatchObject({
    code: "instance",
    message: `Port ${port} on 127.0.0.1 is taken by another program. Choose another with --port N (--port 0 takes a free one).`,
  });
  other.close();
  await (await NatsServer.start(options)).stop(); // what failed holds nothing
});

test("a store that cannot be written", async () => {
  using directory = temporaryDirectory();
  const options = await optionsIn(directory.path);
  const file = join(directory.path, "file");
  writeFileSync(file, "");
  const storeDir = join(file, "store");
  await expect(NatsServer.start({ ...options, storeDir })).rejects.toMatchObject({
    code: "instance",
    message: expect.stringMatching(
      /^The broker cannot write its store \S+ test \S+\/file\/store: ENOTDIR.*or choose another place with HUMQ_HOME\.$/,
    ),
  });
});

test("a configuration the server does not take: its own words", async () => {
  using directory = temporaryDirectory();
  const options = await optionsIn(directory.path);
  writeFileSync(options.configPath, "port: 4222\njetstream { nonsense: 7 }\n");
  await expect(NatsServer.start(options)).rejects.toMatchObject({
    code: "broker",
    message: expect.stringMatching(
      /^nats-server did not start with .*nats\.conf\. Its last words: .*nonsense.*server\.log\)$/,
    ),
  });
  expect(await findRunningServer(options.storeDir)).toBeUndefined();
});

test("a server without JetStream is refused and stopped", async () => {
  using directory = temporaryDirectory();
  const options = await optionsIn(directory.path);
  writeFileSync(options.configPath, "jetstream: disabled\n");
  await expect(NatsServer.start(options)).rejects.toThrow(/runs without JetStream/);
  expect(await findRunningServer(options.storeDir)).toBeUndefined();
});

test("a server that is too old, or not to be run", async () => {
  using directory = temporaryDirectory();
  const options = await optionsIn(directory.path);
  const old = join(directory.path, "nats-server");
  writeFileSync(old, '#!/bin/sh\n[ "$1" = --version ] || exit 1\necho "nats-server: v2.10.4"\n');
  chmodSync(old, 0o755);
  await expect(NatsServer.start({ ...options, binary: old })).rejects.toMatchObject({
    code: "instance",
    message: `${old} is nats-server 2.10.4; humq needs 2.15.0 or newer. Put a newer one on PATH or set HUMQ_NATS_SERVER to it.`,
  });
  await expect(NatsServer.start({ ...options, binary: join(directory.path, "absent") })).rejects.toThrow(/ENOENT/);
  await (await NatsServer.start(options)).stop();
});

/** Run the holder fixture: a process of its own that starts a server. */
async function holdServer(directory: string) {
  const fixture = join(import.meta.dirname, "../fixtures/server/holder.ts");
  const holder = spawn(process.execPath, [fixture, directory], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(holder.stdout), "line")) as [string];
  return { holder, ...(JSON.parse(line) as { pid: number; port: number }) };
}

test("a server does not outlive a process that is killed, and the store can be used again at once", async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "instance"));
  const instance = join(directory.path, "instance");
  const { holder, pid, port } = await holdServer(instance);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  // No waiting here: start itself waits for the old server to leave the store.
  const next = await NatsServer.start({ ...(await optionsIn(instance)), port: 0 });
  expect(next.pid).not.toBe(pid);
  await expect(readServerInfo("127.0.0.1", port)).rejects.toThrow(`127.0.0.1:${port} cannot be reached`);
  await next.stop();
});

test("a process that is merely stopped for a while keeps its server", async () => {
  using directory = temporaryDirectory();
  const { holder, pid, port } = await holdServer(directory.path);
  holder.kill("SIGSTOP");
  await delay(1500); // longer than the guard would take
  expect((await readServerInfo("127.0.0.1", port)).jetstream).toBe(true);
  holder.kill("SIGCONT");
  expect((await findRunningServer(join(directory.path, "store")))?.pid).toBe(pid);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  while ((await findRunningServer(join(directory.path, "store"))) !== undefined) await delay(50);
});

test.runIf(process.platform === "linux")("nothing is left behind: neither server nor guard", async () => {
  using directory = temporaryDirectory();
  const { holder, pid } = await holdServer(directory.path);
  const children = readdirSync("/proc").filter((id) => parentOf(id) === holder.pid);
  expect(children).toHaveLength(2);
  expect(children).toContain(String(pid));
  holder.kill("SIGKILL");
  while (children.some((id) => parentOf(id) !== undefined)) await delay(50);
});

/** The parent of a process; undefined where there is none of that id, or it has ended and nobody fetched its code. */
function parentOf(id: string): number | undefined {
  try {
    const [, state, parent] = /\) (\S) (\d+) /.exec(readFileSync(`/proc/${id}/stat`, "utf8")) ?? [];
    return state === "Z" ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}
