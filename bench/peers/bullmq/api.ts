/** Of BullMQ, which is installed beside the bench and not with humq: what is used here. */
import { createRequire } from "node:module";
import { join } from "node:path";

export interface Job {
  readonly name: string;
  readonly data: Call;
}

/** Arguments of a call. */
export type Call = readonly [index: number, text: string];
export type Processor = (job: Job) => Promise<[number, string]>;

interface Connection {
  readonly path: string;
  /** Workers and listeners wait for as long as it takes. */
  readonly maxRetriesPerRequest: null;
}

interface Closable {
  waitUntilReady(): Promise<unknown>;
  close(force?: boolean): Promise<void>;
}

export interface NewJob {
  readonly name: string;
  readonly data: Call;
  readonly opts: { readonly removeOnComplete: boolean };
}

export interface Queue extends Closable {
  addBulk(jobs: readonly NewJob[]): Promise<unknown>;
}

export interface Worker extends Closable {
  concurrency: number;
}

export interface QueueEvents extends Closable {
  on(event: "completed", listener: (event: { jobId: string; returnvalue: unknown }) => void): void;
  on(event: "failed", listener: (event: { jobId: string; failedReason: string }) => void): void;
}

export interface BullMQ {
  readonly Queue: new (
    name: string,
    options: { connection: Connection; streams: { events: { maxLen: number } } },
  ) => Queue;
  readonly Worker: new (
    name: string,
    processor: Processor | string,
    options: { connection: Connection; concurrency: number },
  ) => Worker;
  readonly QueueEvents: new (name: string, options: { connection: Connection }) => QueueEvents;
}

export const QUEUE = "bench";

/** @param folder where it is installed */
export function loadBullMQ(folder: string): BullMQ {
  return createRequire(join(folder, "package.json"))("bullmq") as BullMQ;
}

export function connection(socket: string): Connection {
  return { path: socket, maxRetriesPerRequest: null };
}
