import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Cleanup } from "../cleanup.ts";

export interface WorkerInfo {
  readonly name: string;
  /** "bubblewrap" or "none", as the worker found it. */
  readonly isolation: string;
}

export interface BenchWorker extends WorkerInfo {
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

interface WorkerOptions {
  /** The package's folder. */
  readonly root: string;
  readonly slots: number;
  readonly env: NodeJS.ProcessEnv;
  readonly cleanup: Cleanup;
}

/** How long a worker may take to leave before it is killed. */
const LEAVE_MS = 20_000;

/** `humq worker`, as users start it; resolves when it is ready. */
export async function startWorker({ root, slots, env, cleanup }: WorkerOptions): Promise<BenchWorker> {
  const child = spawn(process.execPath, [join(root, "bin/humq.js"), "worker", "--json", "--slots", String(slots)], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaints = "";
  child.stderr.on("data", (chunk) => {
    // The end says why it ended; a worker that complains a lot must not fill the memory.
    complaints = (complaints + chunk).slice(-4000);
  });
  const exited = once(child, "exit");
  const stop = cleanup.add(async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), LEAVE_MS);
    await exited;
    clearTimeout(timer);
  });
  let text = "";
  const ready = (async () => {
    for await (const line of createInterface(child.stdout)) {
      text += `${line}\n`;
      if (line === "}") return JSON.parse(text) as WorkerInfo;
    }
    return undefined;
  })();
  const info = await ready;
  if (info === undefined) throw new Error(`the worker ended before it was ready:\n${complaints}`);
  return { name: info.name, isolation: info.isolation, pid: child.pid ?? 0, stop };
}
