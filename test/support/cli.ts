/** The command line as a user has it: bin/humq.js, with a HUMQ_HOME of its own. */
import { join, resolve } from "node:path";
import { type Finished, Running, type RunOptions, runProgram } from "./processes.ts";
import { temporaryDirectory } from "./tools.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
export const PROGRAM = join(ROOT, "bin", "humq.js");

/** What a command printed, and its data. */
export interface Output<T = unknown> extends Finished {
  /** Of a command with --json: the one value on stdout. */
  json: T;
}

/** One person's machine: a HUMQ_HOME, removed by `using`. */
export class Home implements Disposable {
  readonly #directory = temporaryDirectory("humq home ");
  readonly env: Record<string, string | undefined>;

  /** @param env further variables for every command */
  constructor(env: Record<string, string | undefined> = {}) {
    this.env = { HUMQ_HOME: this.path, HUMQ_INSTANCE: undefined, ...env };
  }

  get path(): string {
    return join(this.#directory.path, "home");
  }

  /** Runs a command to its end. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return runProgram(process.execPath, [PROGRAM, ...args], { ...options, env: { ...this.env, ...options.env } });
  }

  /** Runs a command with --json; stdout must hold exactly one JSON value. */
  async json<T>(args: readonly string[], options: RunOptions = {}): Promise<Output<T>> {
    const finished = await this.run([...args, "--json"], options);
    try {
      return { ...finished, json: JSON.parse(finished.stdout) as T };
    } catch (cause) {
      throw new Error(`humq ${args.join(" ")} --json printed: ${finished.stdout}\nstderr: ${finished.stderr}`, {
        cause,
      });
    }
  }

  /** Starts a command that runs until it is stopped (up, worker). */
  start(args: readonly string[], options: RunOptions = {}): Running {
    return new Running(process.execPath, [PROGRAM, ...args], { ...options, env: { ...this.env, ...options.env } });
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** What `humq up --json` prints. */
export interface UpJson {
  instance: string;
  link: string;
  server: string;
  serverVersion: string;
  worker: { name: string; datacenter: string; slots: number; isolation: string } | null;
}

/** Starts `humq up` and waits until it is up. */
export async function startUp(home: Home, args: readonly string[] = []): Promise<{ up: Running; json: UpJson }> {
  const up = home.start(["up", "--json", ...args], { timeoutMs: 600_000 });
  await up.until(/^\}\n/m);
  return { up, json: JSON.parse(up.stdout) as UpJson };
}
