/** What a worker is put together from where it is not alone in its process: the bench runs a thousand in a few. */
import type { CallJob } from "./call-job.ts";
import type { JobHandlers } from "./executor/job.ts";
import { ExecutorPool, type PoolOptions } from "./executor/pool.ts";
import { type DetectedIsolation, detectIsolation } from "./isolation/isolation.ts";

/** What runs a worker's calls; see {@link ExecutorPool}. */
export type Executors = Pick<
  ExecutorPool<CallJob>,
  "addTag" | "dropTag" | "run" | "kill" | "prewarm" | "reservedBytes" | "stop"
>;

export interface WorkerParts {
  detectIsolation(): Promise<DetectedIsolation>;
  openExecutors(options: PoolOptions, handlers: JobHandlers<CallJob>): Promise<Executors>;
}

export const OWN_PARTS: WorkerParts = {
  detectIsolation,
  openExecutors: (options, handlers) => ExecutorPool.open<CallJob>(options, handlers),
};
