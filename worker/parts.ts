/** What a worker is put together from where it is not alone in its process: the bench runs a thousand in a few. */
import type { BrokerError } from "../core/errors.ts";
import type { Session } from "../core/instance/session.ts";
import type { CallJob } from "./call-job.ts";
import type { JobHandlers } from "./executor/job.ts";
import { ExecutorPool, type PoolOptions } from "./executor/pool.ts";
import { type DetectedIsolation, detectIsolation } from "./isolation/isolation.ts";
import { type LeaseHolder, Leases } from "./lease/leases.ts";

/** What runs a worker's calls; see {@link ExecutorPool}. */
export type Executors = Pick<
  ExecutorPool<CallJob>,
  "knows" | "addTag" | "dropTag" | "run" | "kill" | "prewarm" | "reservedBytes" | "stop"
>;

export interface OpenLeases extends LeaseHolder {
  close(): Promise<void>;
}

export interface WorkerParts {
  detectIsolation(): Promise<DetectedIsolation>;
  openExecutors(options: PoolOptions, handlers: JobHandlers<CallJob>): Promise<Executors>;
  /** As {@link Leases}. */
  openLeases(session: Session, onLapse: () => void, onEnd: (error: BrokerError) => void): OpenLeases;
}

export const OWN_PARTS: WorkerParts = {
  detectIsolation,
  openExecutors: (options, handlers) => ExecutorPool.open<CallJob>(options, handlers),
  openLeases: (session, onLapse, onEnd) => new Leases(session, onLapse, onEnd),
};
