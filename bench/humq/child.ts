import { fork } from "node:child_process";
import { once } from "node:events";
import type { Cleanup } from "../cleanup.ts";

/** Functions that a process of the bench answers to. Arguments and results travel as the structured clone does. */
// biome-ignore lint/suspicious/noExplicitAny: the only type that every list of parameters is assignable to
export type Operations = Record<string, (...args: any[]) => Promise<unknown>>;

interface Question {
  id: number;
  operation: string;
  args: unknown[];
}

interface Answer {
  id: number;
  value?: unknown;
  error?: string;
}

/** A process that does what it is asked, so that its memory and processor time are of that alone. */
export class Child<O extends Operations> {
  readonly pid: number;
  /** Ends it; it is ended with the bench at the latest. */
  readonly stop: () => Promise<void>;
  readonly #send: (question: Question) => void;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #asked = 0;

  /** @param script calls {@link serve} */
  constructor(script: string, options: { env: NodeJS.ProcessEnv; args?: readonly string[]; cleanup: Cleanup }) {
    const child = fork(script, options.args ?? [], {
      env: options.env,
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const exited = once(child, "exit");
    this.pid = child.pid ?? 0;
    this.#send = (question) => child.send(question);
    this.stop = options.cleanup.add(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    child.on("message", ({ id, value, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    exited.then(([code, signal]) => {
      const reason = new Error(`${script} ended with ${signal ?? `code ${code}`} while it was asked`);
      for (const waiting of this.#waiting.values()) waiting.reject(reason);
      this.#waiting.clear();
    });
  }

  ask<K extends keyof O & string>(operation: K, ...args: Parameters<O[K]>): Promise<Awaited<ReturnType<O[K]>>> {
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(++this.#asked, answer);
    this.#send({ id: this.#asked, operation, args });
    return answer.promise as Promise<Awaited<ReturnType<O[K]>>>;
  }
}

/** In the child: answers until the bench is gone. */
export function serve(operations: Operations): void {
  process.once("disconnect", () => process.exit());
  // Ctrl-C goes to the whole group; the bench says when this one ends.
  process.on("SIGINT", () => undefined);
  process.on("message", async ({ id, operation, args }: Question) => {
    let answer: Answer;
    try {
      answer = { id, value: await operations[operation]!(...args) };
    } catch (error) {
      answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    if (process.connected) process.send!(answer);
  });
}
