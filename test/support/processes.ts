/** Programs that a test starts: their output is kept, and none outlives the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface RunOptions {
  cwd?: string;
  /** Added to the environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Written to stdin. */
  input?: string;
  /** Ends the program and the test where it hangs. Default 90,000. */
  timeoutMs?: number;
}

export interface Finished {
  /** null where a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const DEFAULT_TIMEOUT_MS = 90_000;
const running = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A program that runs beside the test. `await using` ends it with SIGTERM. */
export class Running implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #command: string;
  readonly #timer: NodeJS.Timeout;

  constructor(file: string, args: readonly string[], options: RunOptions = {}) {
    this.#command = [file, ...args].join(" ");
    const env = { ...process.env, ...options.env };
    const child = spawn(file, args, { cwd: options.cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    // It may end without reading all of it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    this.#timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.finished = once(child, "close").then(([code, signal]) => {
      clearTimeout(this.#timer);
      running.delete(child);
      return { code, signal, stdout: this.stdout, stderr: this.stderr } as Finished;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until stdout or stderr holds what is looked for, and returns the match. */
  async until(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.stdout.match(pattern) ?? this.stderr.match(pattern);
      if (match !== null) return match;
      const more = await Promise.race([this.#moreOutput(), this.finished.then(() => false)]);
      if (!more && !pattern.test(this.stdout) && !pattern.test(this.stderr)) {
        throw new Error(`${this.#command} ended without ${pattern}.\nstdout: ${this.stdout}\nstderr: ${this.stderr}`);
      }
    }
  }

  async #moreOutput(): Promise<true> {
    const { stdout, stderr } = this.#child;
    const stop = new AbortController();
    await Promise.race([
      once(stdout!, "data", { signal: stop.signal }),
      once(stderr!, "data", { signal: stop.signal }),
    ]).finally(() => stop.abort());
    return true;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Finished> {
    this.#child.kill(signal);
    return this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Runs a program to its end. */
export function runProgram(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Running(file, args, options).finished;
}

/** What a program that waited for calls said beside how far it was: that it tells where they take their time. */
export function withoutProgress({ stderr, ...finished }: Finished): Finished {
  return { ...finished, stderr: stderr.replace(/^pull: \d.* calls, .*\n/gm, "") };
}
