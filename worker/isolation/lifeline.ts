/** Ends a process and everything that it started when its worker dies. Bubblewrap does the same with `--die-with-parent`. */
import { Worker } from "node:worker_threads";
import { codePath } from "./layout.ts";
import { MARK_VARIABLE } from "./strays.ts";

export interface LifelineData {
  fd: number;
  mark: string;
}

/**
 * A thread of its own waits for the end of the lifeline, so that it is heard while the main thread is in a loop.
 * @param fd a pipe whose other end the worker holds
 */
export function watchLifeline(fd: number): void {
  const data: LifelineData = { fd, mark: process.env[MARK_VARIABLE] ?? "" };
  const watcher = new Worker(codePath("worker/isolation/lifeline-thread"), {
    workerData: data,
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16 },
  });
  watcher.unref();
}
