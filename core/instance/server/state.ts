import { readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { InstanceError } from "../../errors.ts";
import { readIfPresent, writePrivate } from "../files.ts";
import { run } from "./run.ts";

/** A server that runs on a store. */
export interface RunningServer {
  pid: number;
  host: string;
  port: number;
  /** `nats://HOST:PORT` */
  url: string;
}

/** Another process runs a server on this store. */
export class AlreadyRunningError extends InstanceError {
  readonly running: RunningServer;

  constructor(running: RunningServer) {
    super(
      `This instance is running already: process ${running.pid}, ${running.url}. ` +
        "Use that one, or stop it first (Ctrl-C where it was started).",
    );
    this.running = running;
  }
}

const stateFile = (storeDir: string) => join(storeDir, "humq-server.json");

/** The file whose lock the owner of the store's server holds. */
export const lockFile = (storeDir: string) => join(storeDir, "humq-server.lock");

/** Where a server of this store writes its ports; being on its command line, it also tells whose server it is. */
export const portsDirectory = (storeDir: string) => join(storeDir, "humq-ports");

export function saveState(storeDir: string, running: RunningServer): void {
  writePrivate(stateFile(storeDir), `${JSON.stringify(running, null, 2)}\n`);
}

export function removeState(storeDir: string): void {
  rmSync(stateFile(storeDir), { force: true });
}

/**
 * The server that runs on this store (or is still writing it out), or undefined where none does. A state file that
 * a crash left behind is seen through: the process must exist and be a server of this store.
 */
export async function findRunningServer(storeDir: string): Promise<RunningServer | undefined> {
  const state = parseState(readIfPresent(stateFile(storeDir))?.toString("utf8"));
  if (state === undefined) return undefined;
  const command = await commandLine(state.pid);
  return command.includes(portsDirectory(realpathSync(storeDir))) ? state : undefined;
}

function parseState(text: string | undefined): RunningServer | undefined {
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text) as Partial<RunningServer>;
    const complete = Number.isInteger(state.pid) && Number.isInteger(state.port) && typeof state.url === "string";
    return complete ? (state as RunningServer) : undefined;
  } catch {
    return undefined;
  }
}

/** The arguments of a process, separated by something; empty where there is none (also for one that has ended). */
async function commandLine(pid: number): Promise<string> {
  if (process.platform !== "linux") {
    return run("ps", ["-ww", "-o", "args=", "-p", String(pid)])
      .then(({ stdout }) => stdout)
      .catch(() => "");
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
