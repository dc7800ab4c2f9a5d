import { execFile } from "node:child_process";

/** What a finished command printed. */
export interface RunOutput {
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** The command is ended after this many milliseconds. Default 30,000. */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_REASON = 600;

/**
 * Run a program to its end, without a shell.
 * @throws Error with one readable sentence: not found, took too long, or its exit code and last lines.
 */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunOutput> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, cwd, env } = options;
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      { cwd, env: env ?? process.env, timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 16 << 20 },
      (error, stdout, stderr) => {
        if (!error) resolve({ stdout, stderr });
        else if (error.code === "ENOENT") reject(new Error(`${file} was not found`));
        else if (error.code === "EACCES") reject(new Error(`${file} may not be executed (permission denied)`));
        else if (error.killed) reject(new Error(`${file} took longer than ${timeoutMs / 1000} s`));
        else
          reject(
            new Error(`${file} failed (${error.code ?? error.signal}): ${lastLines(stderr || stdout)}`, {
              cause: error,
            }),
          );
      },
    );
  });
}

/** The last lines of an output, on one line, short enough for a message. */
export function lastLines(text: string, count = 4): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.slice(-count).join(" | ").slice(-LONGEST_REASON) || "it printed nothing";
}
