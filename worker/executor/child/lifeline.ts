import { Worker } from "node:worker_threads";
import { LIFELINE_FD } from "../protocol.ts";

/** Plain JavaScript, since it runs without this package's files. */
const WATCH = `
const { Socket } = require("node:net");
const end = () => process.kill(0, "SIGKILL");
const line = new Socket({ fd: ${LIFELINE_FD}, readable: true, writable: false });
line.on("error", end).on("close", end).resume();
`;

/**
 * Ends the process group when the worker dies, also while user code holds the main thread in a loop: a thread of
 * its own waits for the end of the lifeline. Bubblewrap does the same with `--die-with-parent`, without a thread.
 */
export function watchLifeline(): void {
  const watcher = new Worker(WATCH, {
    eval: true,
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16 },
  });
  watcher.unref();
}
