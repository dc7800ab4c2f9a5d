/** A worker in a process of its own, as `humq worker` starts it. */
import { readFileSync } from "node:fs";
import { PROGRAM } from "./cli.ts";
import { type Finished, Running, type RunOptions } from "./processes.ts";

export class WorkerProcess implements AsyncDisposable {
  readonly #running: Running;
  /** Its name, as outcomes give it. */
  readonly name: string;

  private constructor(running: Running, name: string) {
    this.#running = running;
    this.name = name;
  }

  /** Starts it and waits until it is ready. */
  static async start(env: RunOptions["env"], args: readonly string[] = []): Promise<WorkerProcess> {
    const running = new Running(process.execPath, [PROGRAM, "worker", "--json", ...args], {
      ...(env === undefined ? {} : { env }),
      timeoutMs: 600_000,
    });
    await running.until(/^\}\n/m);
    return new WorkerProcess(running, (JSON.parse(running.stdout) as { name: string }).name);
  }

  get pid(): number {
    return this.#running.pid;
  }

  /** What it has said so far. */
  get said(): string {
    return this.#running.stderr;
  }

  /** Waits until it has said something. */
  async says(pattern: RegExp): Promise<void> {
    await this.#running.until(pattern);
  }

  /** Bytes of memory that the process itself (not its executors) has held at most. */
  get peakBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  }

  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Finished> {
    return this.#running.stop(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
