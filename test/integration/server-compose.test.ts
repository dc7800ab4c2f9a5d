import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test, vi } from "vitest";
import { findFreePort, readServerInfo } from "../../core/instance/server/index.ts";
import {
  connectAs,
  makeAccount,
  makeOperator,
  pushAccount,
  serverBinary,
  temporaryDirectory,
  writeTestConfig,
} from "../support/tools.ts";

vi.setConfig({ testTimeout: 60_000 });
/** The first time on a machine, the server may have to be built. */
beforeAll(serverBinary, 600_000);

const ROOT = join(import.meta.dirname, "../..");

/** What docker-compose.yml says, as far as the server inside can tell the difference. */
function composeFile() {
  const text = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  const [, command = ""] = /^ {4}command: (\[.*\])$/m.exec(text) ?? [];
  const [, workingDirectory = ""] = /^ {4}working_dir: (\S+)$/m.exec(text) ?? [];
  const [, health = ""] = /^ {6}test: (\[.*\])$/m.exec(text) ?? [];
  return {
    command: JSON.parse(command) as string[],
    workingDirectory,
    health: (JSON.parse(health) as string[]).at(-1)!,
  };
}

test("docker-compose.yml and nats.conf run the folder that the configuration was written to", async () => {
  using directory = temporaryDirectory();
  const { command, workingDirectory, health } = composeFile();
  const inside = (path: string) => path.replace(/^\/humq/, directory.path);
  const operator = await makeOperator();
  copyFileSync(join(ROOT, "nats.conf"), inside("/humq/nats.conf"));
  writeTestConfig(inside(workingDirectory), operator);

  const [port, monitorPort] = [await findFreePort(), await findFreePort()];
  const [program, ...args] = command;
  expect(program).toBe("nats-server");
  const ports = ["-a", "127.0.0.1", "-p", String(port), "-m", String(monitorPort)];
  const server = spawn(await serverBinary(), [...args.map(inside), ...ports], {
    cwd: inside(workingDirectory),
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(server, "exit");
  try {
    const info = await untilItAnswers(port);
    expect(info).toMatchObject({ jetstream: true, serverName: "test" });
    const { account, token } = await makeAccount(operator);
    await pushAccount(`nats://127.0.0.1:${port}`, operator, token);
    const connection = await connectAs(`nats://127.0.0.1:${port}`, account);
    const answer = await connection.request("$JS.API.INFO");
    expect(answer.json()).toMatchObject({ streams: 0 });
    await connection.close();
    const healthz = await fetch(health.replace("8222", String(monitorPort)));
    expect(await healthz.json()).toEqual({ status: "ok" });
  } finally {
    server.kill("SIGTERM");
    await ended;
  }
  expect(existsSync(inside("/humq/humq-server/store/jetstream"))).toBe(true);
  expect(existsSync(inside(`/humq/humq-server/accounts/${operator.system.getPublicKey()}.jwt`))).toBe(true);
});

test("the port on loopback unless asked otherwise, nothing privileged", () => {
  const text = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  expect(text).toMatch(/^ {6}- "\$\{HUMQ_SERVER_BIND:-127\.0\.0\.1\}:\$\{HUMQ_SERVER_PORT:-4222\}:4222"$/m);
  expect(text).not.toMatch(/privileged|cap_add|network_mode/);
});

async function untilItAnswers(port: number) {
  for (;;) {
    const info = await readServerInfo("127.0.0.1", port).catch(() => undefined);
    if (info !== undefined) return info;
    await delay(20);
  }
}
