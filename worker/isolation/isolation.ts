/** How well user code is kept from the worker and from other users, and what follows from it. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "./environment.ts";
import { sandboxed } from "./sandbox.ts";

/**
 * `bubblewrap`: user code sees no file of the worker, no other process, and holds no privileges.
 * `none`: a process of its own under the worker's uid; it can do whatever the worker's account can.
 */
export type Isolation = "bubblewrap" | "none";

export interface DetectedIsolation {
  isolation: Isolation;
  /** Where it is `none`: why, in one sentence. */
  reason?: string;
}

const TRIAL_TIMEOUT_MS = 20_000;
const TRIAL_OUTPUT = "humq-sandbox-works";

/** Runs node once in the sandbox exactly as executors will: `bwrap` may be there and user namespaces forbidden. */
async function trial(): Promise<string | undefined> {
  const workDir = await mkdtemp(join(tmpdir(), "humq-trial-"));
  try {
    const { command, args, nodePath } = sandboxed({ workDir, network: "host" });
    const program = [nodePath, "-e", `process.stdout.write(${JSON.stringify(TRIAL_OUTPUT)})`];
    return await new Promise((resolve) => {
      const child = spawn(command, [...args, ...program], {
        stdio: ["ignore", "pipe", "pipe"],
        env: cleanEnvironment("/"),
        timeout: TRIAL_TIMEOUT_MS,
        killSignal: "SIGKILL",
      });
      let output = "";
      let complaint = "";
      child.stdout.on("data", (chunk) => {
        output += chunk;
      });
      child.stderr.on("data", (chunk) => {
        complaint += chunk;
      });
      child.on("error", (error: NodeJS.ErrnoException) =>
        resolve(error.code === "ENOENT" ? "bwrap is not installed" : `bwrap does not start: ${error.message}`),
      );
      child.on("close", (code, signal) => {
        if (code === 0 && output === TRIAL_OUTPUT) resolve(undefined);
        else resolve(`bwrap does not work here: ${complaint.trim() || `it ended with ${signal ?? `code ${code}`}`}`);
      });
    });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** The strongest isolation that works on this machine, found by trying it. Takes some 50 ms. */
export async function detectIsolation(): Promise<DetectedIsolation> {
  const reason = process.platform === "linux" ? await trial() : `bubblewrap does not exist on ${process.platform}`;
  return reason === undefined ? { isolation: "bubblewrap" } : { isolation: "none", reason };
}

/**
 * Whether a worker may run a call at all. Without bubblewrap the code could read the worker's keys, so only the
 * worker's own owner's calls run, unless the worker was told `--unsafe`.
 */
export function mayRun(facts: { isolation: Isolation; sameOwner: boolean; unsafe: boolean }): boolean {
  return facts.isolation === "bubblewrap" || facts.sameOwner || facts.unsafe;
}
