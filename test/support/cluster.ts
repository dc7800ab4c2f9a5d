/** Three real nats-servers in one cluster on this machine, each in its own folder, as docs/operations.md sets them up. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findFreePort } from "../../core/instance/server/port.ts";

const START_WITHIN_MS = 30_000;

async function listens(port: number): Promise<boolean> {
  const socket = connectTcp(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** One server that the test starts, stops and kills. */
export class Node {
  readonly folder: string;
  readonly port: number;
  readonly #binary: string;
  #child: ChildProcess | undefined;

  constructor(binary: string, folder: string, port: number) {
    this.#binary = binary;
    this.folder = folder;
    this.port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get log(): string {
    return readFileSync(join(this.folder, "server.log"), "utf8");
  }

  async start(): Promise<void> {
    const log = openSync(join(this.folder, "server.log"), "a");
    const child = spawn(this.#binary, ["-c", "nats.conf"], { cwd: this.folder, stdio: ["ignore", log, log] });
    process.on("exit", () => child.kill("SIGKILL"));
    this.#child = child;
    for (const giveUpMs = performance.now() + START_WITHIN_MS; !(await listens(this.port)); await delay(50)) {
      if (child.exitCode !== null || performance.now() > giveUpMs) throw new Error(this.log.slice(-2000));
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

/**
 * Nodes with copies of a single server's folder, its store apart.
 * @param conf what is added to the configuration of a node (numbers from 0), given the names of all nodes and their
 *   addresses for each other
 */
export async function makeNodes(
  binary: string,
  directory: string,
  single: Node,
  conf: (number: number, routes: readonly string[]) => string,
): Promise<Node[]> {
  const routes: string[] = [];
  for (let i = 0; i < 3; i++) routes.push(`127.0.0.1:${await findFreePort("127.0.0.1")}`);
  const base = readFileSync(join(single.folder, "nats.conf"), "utf8");
  const nodes: Node[] = [];
  for (let i = 0; i < 3; i++) {
    const folder = join(directory, `node${i + 1}`);
    mkdirSync(folder, { recursive: true });
    cpSync(join(single.folder, "accounts"), join(folder, "accounts"), { recursive: true });
    // The first node has the single server's address, so that nobody has to learn a new one.
    const port = i === 0 ? single.port : await findFreePort("127.0.0.1");
    const text = base.replace(/^port: .*$/m, `port: ${port}`).replace(/^server_name: .*$/m, "");
    writeFileSync(join(folder, "nats.conf"), `${text}\n${conf(i, routes)}`);
    nodes.push(new Node(binary, folder, port));
  }
  return nodes;
}
