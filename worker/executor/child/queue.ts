/** Jobs that were sent and not started, in order, and the parts of their arguments as they come. */
import type { JobFrame } from "../protocol.ts";

export interface QueuedJob extends JobFrame {
  /** Sealed parts of its arguments that are here. */
  received: Uint8Array[];
}

export class Queue {
  #jobs: QueuedJob[] = [];

  add(jobs: readonly JobFrame[]): void {
    for (const job of jobs) this.#jobs.push({ ...job, received: [] });
  }

  addPart(id: number, part: number, sealed: Uint8Array): void {
    const job = this.#jobs.find((queued) => queued.id === id);
    if (job === undefined) return;
    if (part !== job.received.length) throw new Error(`part ${part} of job ${id} is out of order`);
    job.received.push(sealed);
  }

  get isEmpty(): boolean {
    return this.#jobs.length === 0;
  }

  /** The next job, if all of it is here. */
  take(): QueuedJob | undefined {
    const job = this.#jobs[0];
    if (job === undefined || job.received.length < job.parts) return undefined;
    this.#jobs.shift();
    return job;
  }

  /** Takes out those of the named jobs that are still here and returns their names. */
  withdraw(ids: readonly number[]): number[] {
    const wanted = new Set(ids);
    const gone = this.#jobs.filter((job) => wanted.has(job.id)).map((job) => job.id);
    this.#jobs = this.#jobs.filter((job) => !wanted.has(job.id));
    return gone;
  }

  clear(): void {
    this.#jobs = [];
  }
}
