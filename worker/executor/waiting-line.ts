/** Jobs that wait for an executor: in order within a tag, and between tags by how long the first has waited. */
import type { Job, JobEnd, Outcome, TagSetup } from "./job.ts";

export interface Waiting<J extends Job> {
  job: J;
  setup: TagSetup;
  /** Outcomes of its first calls, from an executor that retired in the middle. */
  outcomes: Outcome[];
  /** How often in a row it came back from an executor that had begun it, without another outcome. */
  vain: number;
  resolve(end: JobEnd): void;
  reject(error: Error): void;
}

interface Numbered<J extends Job> {
  number: number;
  entry: Waiting<J>;
}

export class WaitingLine<J extends Job> {
  readonly #tags = new Map<string, Numbered<J>[]>();
  #size = 0;
  #first = 0;
  #last = 0;

  get size(): number {
    return this.#size;
  }

  push(entry: Waiting<J>): void {
    this.#queueOf(entry).push({ number: ++this.#last, entry });
    this.#size++;
  }

  /** Back to the front: it has waited before. */
  unshift(entry: Waiting<J>): void {
    this.#queueOf(entry).unshift({ number: --this.#first, entry });
    this.#size++;
  }

  /** Offers the entries in order until `take` refuses; the rest of that tag is passed over, as it would be refused too. */
  offer(take: (entry: Waiting<J>) => boolean): void {
    const queues = [...this.#tags.entries()];
    if (queues.length > 1) queues.sort(([, a], [, b]) => a[0]!.number - b[0]!.number);
    for (const [tagId, queue] of queues) {
      let taken = 0;
      while (taken < queue.length && take(queue[taken]!.entry)) taken++;
      queue.splice(0, taken);
      this.#size -= taken;
      if (queue.length === 0) this.#tags.delete(tagId);
    }
  }

  /** Takes a job out, wherever it stands. */
  remove(job: J): Waiting<J> | undefined {
    const queue = this.#tags.get(job.tagId);
    const position = queue?.findIndex(({ entry }) => entry.job === job) ?? -1;
    if (queue === undefined || position === -1) return undefined;
    const [found] = queue.splice(position, 1);
    this.#size--;
    if (queue.length === 0) this.#tags.delete(job.tagId);
    return found!.entry;
  }

  /** Takes all of them out. */
  clear(): Waiting<J>[] {
    const entries = [...this.#tags.values()].flat().map(({ entry }) => entry);
    this.#tags.clear();
    this.#size = 0;
    return entries;
  }

  #queueOf(entry: Waiting<J>): Numbered<J>[] {
    const { tagId } = entry.job;
    const queue = this.#tags.get(tagId) ?? [];
    this.#tags.set(tagId, queue);
    return queue;
  }
}
