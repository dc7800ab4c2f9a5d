/** One worker that many attacks run on, and what they must not get at: secrets in its environment, memory and files. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Tag, task } from "../../core/index.ts";
import { collect } from "./collect.ts";
import { Lab, type Person } from "./lab.ts";
import { homeOf } from "./people.ts";
import { temporaryDirectory } from "./tools.ts";
import { WorkerProcess } from "./worker-process.ts";

/** Stands in the worker's environment, and in a file beside its keys. */
export const SECRET = `secret-${process.pid}-${Math.random().toString(36).slice(2)}`;

/** A call's end. */
export interface End {
  value?: unknown;
  state?: string;
  message?: string;
}

/** A PATH on which bubblewrap is found and does not work, as where user namespaces are forbidden. */
export function pathWithoutSandbox(folder: string): string {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "bwrap"), "#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n", {
    mode: 0o755,
  });
  return `${bin}:${process.env.PATH}`;
}

// biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
async function submit(fn: (...args: any[]) => unknown, lists: readonly unknown[][], timeLimit: string): Promise<Tag> {
  const wrapped = task(fn);
  for (const args of lists) wrapped(...args);
  return await wrapped.submit({ quiet: true, timeLimit });
}

export class AttackedWorker implements AsyncDisposable {
  readonly lab: Lab;
  readonly mallory: Person;
  readonly folder: string;
  readonly env: Record<string, string | undefined>;
  #worker: WorkerProcess;
  readonly #directory: ReturnType<typeof temporaryDirectory>;

  private constructor(
    lab: Lab,
    mallory: Person,
    directory: ReturnType<typeof temporaryDirectory>,
    env: Record<string, string | undefined>,
    worker: WorkerProcess,
  ) {
    this.lab = lab;
    this.mallory = mallory;
    this.#directory = directory;
    this.folder = directory.path;
    this.env = env;
    this.#worker = worker;
  }

  /** Starts broker and worker, and lets somebody in whose code is not to be trusted. */
  static async start(isolation: "bubblewrap" | "none", args: readonly string[] = []): Promise<AttackedWorker> {
    const lab = await Lab.start();
    const directory = temporaryDirectory("humq attacked ");
    const temporary = join(directory.path, "tmp");
    mkdirSync(temporary, { mode: 0o700 });
    const env = {
      HUMQ_HOME: process.env.HUMQ_HOME,
      HUMQ_INSTANCE: "lab",
      HUMQ_TEST_SECRET: SECRET,
      TMPDIR: temporary,
      ...(isolation === "none" && { PATH: pathWithoutSandbox(directory.path) }),
    };
    const mallory = await lab.join("mallory");
    const unsafe = isolation === "none" ? ["--unsafe"] : ["--require-sandbox"];
    const worker = await WorkerProcess.start(env, ["--datacenter", "local", "--slots", "2", ...unsafe, ...args]);
    return new AttackedWorker(lab, mallory, directory, env, worker);
  }

  get worker(): WorkerProcess {
    return this.#worker;
  }

  /** Where the worker makes the folders of calls. */
  get workRoot(): string {
    return join(this.folder, "tmp", `humq-${process.getuid!()}`);
  }

  /** Runs an attack as a call of the user, to its end. */
  // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
  async attack<A extends any[]>(attack: (...args: A) => unknown, ...args: A): Promise<End> {
    const [end] = await this.attackMany(attack, [args]);
    return end!;
  }

  // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
  attackMany<A extends any[]>(attack: (...args: A) => unknown, lists: readonly A[], timeLimit = "60s"): Promise<End[]> {
    return this.#as(this.mallory, async () => {
      using tag = await submit(attack, lists, timeLimit);
      await tag.pull({ blocking: true, quiet: true });
      const ends: End[] = (await collect(tag.results())).map((value) => ({ value }));
      for (const { index, state, error } of await collect(tag.errors()))
        ends[index] = { state, message: error.message };
      return ends;
    });
  }

  /** The same with a time limit. */
  async attackFor(timeLimit: string, attack: () => unknown): Promise<End> {
    const [end] = await this.attackMany(attack, [[]], timeLimit);
    return end!;
  }

  /** The worker starts anew, with other flags. */
  async restart(args: readonly string[]): Promise<void> {
    await this.#worker.stop();
    this.#worker = await WorkerProcess.start(this.env, ["--datacenter", "local", ...args]);
  }

  /** Hands in a call of somebody else, and waits for nothing. */
  // biome-ignore lint/suspicious/noExplicitAny: any function at all is what users give
  async leave<A extends any[]>(person: Person, fn: (...args: A) => unknown, ...args: A): Promise<void> {
    await this.#as(person, async () => (await submit(fn, [args], "60s"))[Symbol.dispose]());
  }

  /** `HUMQ_HOME` says who acts. */
  async #as<T>({ instance }: Person, action: () => Promise<T>): Promise<T> {
    const home = process.env.HUMQ_HOME;
    process.env.HUMQ_HOME = homeOf(instance);
    try {
      return await action();
    } finally {
      process.env.HUMQ_HOME = home;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.stop();
    await this.lab[Symbol.asyncDispose]();
    this.#directory[Symbol.dispose]();
  }
}
