import { createInterface } from "node:readline";
import type { Run } from "../../contender.ts";
import type { Workload } from "../../workload.ts";
import { startProcess } from "./process.ts";

/** What a peer's client can be asked; each question and answer is one line of JSON on its stdin and stdout. */
export interface Questions {
  /** Answered once workers wait for work. */
  ready: { args: object; answer: unknown };
  /** Of a worker: how many calls it is to run at the same time. */
  concurrency: { args: number; answer: unknown };
  run: { args: Workload; answer: Run };
  latencies: { args: { count: number; payloadBytes: number }; answer: number[] };
}

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

/** A peer's own client in a process of its own, in the peer's own language. It ends when its stdin does. */
export class Driver {
  readonly stop: () => Promise<void>;
  readonly #write: (line: string) => void;
  readonly #waiting: PromiseWithResolvers<unknown>[] = [];
  #over: Error | undefined;

  constructor(
    file: string,
    args: readonly string[],
    options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string; readonly signal: AbortSignal },
  ) {
    const { child, ended, stop } = startProcess(file, args, { ...options, stdio: ["pipe", "pipe", "inherit"] });
    this.stop = stop;
    this.#write = (line) => child.stdin?.write(`${line}\n`);
    child.stdin?.on("error", () => {
      // It has ended; that is told below.
    });
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const { value, error } = JSON.parse(line) as Answer;
      const waiting = this.#waiting.shift();
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    ended.then((how) => {
      this.#over = new Error(`a peer's process ended with ${how}: ${file} ${args.join(" ")}`);
      for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#over);
    });
  }

  async ask<Q extends keyof Questions>(question: Q, args: Questions[Q]["args"]): Promise<Questions[Q]["answer"]> {
    if (this.#over !== undefined) throw this.#over;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.push(waiting);
    this.#write(JSON.stringify({ question, args }));
    return (await waiting.promise) as Questions[Q]["answer"];
  }
}
