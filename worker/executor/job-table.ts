/** The jobs that an executor holds, in the order in which it runs them: the first is the one that runs. */
import type { Job, JobEnd, Outcome } from "./job.ts";
import type { JobFrame } from "./protocol.ts";

export class HeldJob<J extends Job> {
  readonly id: number;
  readonly job: J;
  readonly outcomes: Outcome[] = [];
  /** Index of the first call whose outcome is not known yet. */
  next: number;
  /** The same, counting messages that were read and wait to be acted on. */
  nextRead: number;
  ended = false;
  /** Bytes that its calls printed, by index. */
  readonly printed = new Map<number, number>();
  readonly #resolve: (end: JobEnd) => void;

  constructor(id: number, job: J, resolve: (end: JobEnd) => void) {
    this.id = id;
    this.job = job;
    this.next = job.from ?? job.first;
    this.nextRead = this.next;
    this.#resolve = resolve;
  }

  /** One past the index of its last call. */
  get end(): number {
    return this.job.first + this.job.count;
  }

  finish(end: JobEnd): void {
    this.ended = true;
    this.#resolve(end);
  }

  frame(): JobFrame {
    const { tagId, first, count, generation, callHash, sealed, parts } = this.job;
    return {
      id: this.id,
      tagId,
      first,
      count,
      from: this.next,
      generation,
      callHash,
      parts: parts?.count ?? 0,
      sealed: sealed ?? new Uint8Array(),
    };
  }
}

export class JobTable<J extends Job> {
  readonly #jobs = new Map<number, HeldJob<J>>();
  readonly #onHead: (held: HeldJob<J>) => void;
  #nextId = 1;
  #head: HeldJob<J> | undefined;

  /** @param onHead told of each job that becomes the first */
  constructor(onHead: (held: HeldJob<J>) => void) {
    this.#onHead = onHead;
  }

  get size(): number {
    return this.#jobs.size;
  }

  get head(): HeldJob<J> | undefined {
    return this.#head;
  }

  get(id: number): HeldJob<J> | undefined {
    return this.#jobs.get(id);
  }

  /** Those behind the first. */
  waiting(): HeldJob<J>[] {
    return [...this.#jobs.values()].slice(1);
  }

  add(job: J, resolve: (end: JobEnd) => void): HeldJob<J> {
    const held = new HeldJob(this.#nextId++, job, resolve);
    this.#jobs.set(held.id, held);
    this.#announce();
    return held;
  }

  end(held: HeldJob<J>, end: JobEnd): void {
    if (!this.#jobs.delete(held.id)) return;
    held.finish(end);
    this.#announce();
  }

  /** Ends all of them: `ofHead` makes the end of the first, the others were not started. */
  endAll(reason: string, ofHead: (held: HeldJob<J>) => JobEnd): void {
    const [head, ...others] = this.#jobs.values();
    this.#jobs.clear();
    this.#head = undefined;
    head?.finish(ofHead(head));
    for (const held of others) held.finish({ state: "returned", outcomes: held.outcomes, reason });
  }

  #announce(): void {
    const first = this.#jobs.values().next().value;
    if (first === this.#head) return;
    this.#head = first;
    if (first !== undefined) this.#onHead(first);
  }
}
