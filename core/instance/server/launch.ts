import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startGuard } from "./guard.ts";

export interface LaunchOptions {
  binary: string;
  configPath: string;
  host: string;
  port: number;
  logPath: string;
  /** Where the server writes the ports it listens on; emptied first. */
  portsDir: string;
}

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A nats-server process that may not be ready yet. */
export interface Launched {
  process: ChildProcess;
  pid: number;
  exited: Promise<Exit>;
  /** What this start has logged so far. */
  log(): string;
}

/**
 * Its memory may grow by so many percent until it is collected, where the environment does not say otherwise (Go's default:
 * 100): most of it is an index of what is stored, which stays.
 */
const GOGC = "50";
const POLL_MS = 10;
/** Long enough for a server with thousands of streams to write them out. */
const STOP_GRACE_MS = 20_000;

/**
 * Start the program, guarded from its first moment. It runs in a session of its own (Ctrl-C does not reach it) and in
 * the directory of its configuration, from which relative paths in there count.
 * @throws Error (of the system) where the program or the log cannot be opened.
 */
export async function launch(options: LaunchOptions): Promise<Launched> {
  const { binary, configPath, host, port, logPath, portsDir } = options;
  rmSync(portsDir, { recursive: true, force: true });
  mkdirSync(portsDir, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(logPath), { recursive: true, mode: 0o700 });
  const log = openSync(logPath, "a", 0o600);
  const logStart = fstatSync(log).size;
  const args = ["-c", configPath, "-a", host, "-p", String(port), "-l", logPath, "--ports_file_dir", portsDir];
  const guard = startGuard();
  try {
    const env = { GOGC, ...process.env };
    const child = spawn(binary, args, { cwd: dirname(configPath), env, stdio: ["ignore", log, log], detached: true });
    const exited = once(child, "exit").then(([code, signal]) => ({ code, signal }) as Exit);
    if (child.pid === undefined) await exited; // throws why it could not be started
    guard.watch(child.pid!);
    return {
      process: child,
      pid: child.pid!,
      exited: exited.finally(() => guard.release()),
      log: () => readFileSync(logPath).subarray(logStart).toString("utf8"),
    };
  } catch (error) {
    guard.release();
    throw error;
  } finally {
    closeSync(log);
  }
}

/**
 * Wait until the process listens: it then writes `<program>_<pid>.ports`. Asking the port alone is not enough, since
 * another server may answer there.
 * @returns true when it listens, false when it ended or the time is over.
 */
export async function waitUntilListening(launched: Launched, portsDir: string, timeoutMs: number): Promise<boolean> {
  let ended = false;
  void launched.exited.then(() => {
    ended = true;
  });
  const deadline = performance.now() + timeoutMs;
  while (!ended && performance.now() < deadline) {
    if (readdirSync(portsDir).some((name) => name.endsWith(".ports") && isWhole(join(portsDir, name)))) return true;
    await delay(POLL_MS);
  }
  return false;
}

/** The server does not write the file in one step. */
function isWhole(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, "utf8"));
    return true;
  } catch {
    return false;
  }
}

/** End a process in order (SIGTERM), by force after 20 s; returns when it has ended, at once if it has already. */
export async function endProcess(launched: Launched): Promise<void> {
  launched.process.kill("SIGTERM");
  const force = setTimeout(() => launched.process.kill("SIGKILL"), STOP_GRACE_MS);
  await launched.exited;
  clearTimeout(force);
}
