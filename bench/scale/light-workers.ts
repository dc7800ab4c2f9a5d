/** A process with many workers, each with its connection, its audit log and its pulls; see light-executors.ts. */
import type { WorkerParts } from "../../worker/parts.ts";
import { Worker } from "../../worker/worker.ts";
import { serve } from "../humq/child.ts";
import { LightExecutors } from "./light-executors.ts";
import { LightLeases } from "./light-leases.ts";

const workers: Worker[] = [];
/** Started at once. */
const AT_ONCE = 10;

const operations = {
  /** Starts `count` workers of `slots` slots each, whose calls take `callMs`. */
  async start(count: number, slots: number, callMs: number): Promise<void> {
    const parts: WorkerParts = {
      detectIsolation: async () => ({ isolation: "bubblewrap" }),
      openLeases: (session) => new LightLeases(session),
      openExecutors: async (options, handlers) =>
        new LightExecutors(options.slots, callMs, options.worker ?? "worker", handlers),
    };
    for (let started = 0; started < count; started += AT_ONCE) {
      const some = Math.min(AT_ONCE, count - started);
      workers.push(...(await Promise.all(Array.from({ length: some }, () => Worker.start({ slots }, parts)))));
    }
  },

  /** Megabytes (10^6) of memory that the process holds. */
  async memory(): Promise<number> {
    return process.memoryUsage.rss() / 1e6;
  },
};

export type LightWorkers = typeof operations;

serve(operations);
