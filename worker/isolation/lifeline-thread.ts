/** See ./lifeline.ts. */
import { Socket } from "node:net";
import { workerData } from "node:worker_threads";
import type { LifelineData } from "./lifeline.ts";
import { endStrays } from "./strays.ts";

const { fd, mark } = workerData as LifelineData;

function end(): void {
  try {
    endStrays(mark);
  } finally {
    process.kill(0, "SIGKILL");
  }
}

const line = new Socket({ fd, readable: true, writable: false });
line.on("error", end).on("close", end).resume();
