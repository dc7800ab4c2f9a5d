/** The jobs that an executor holds, in the order in which it runs them: the first is the one that runs. */
import type { EndCause, Job, JobEnd, Outcome } from "./job.ts";
import type { Position } from "./position-file.ts";
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
  /** The worker has asked for it back: only then is it believed that it was not started. */
  asked = false;
  /** Bytes that its calls printed, by index, once they have. */
  printed: Map<number, number> | undefined;
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
    return this.job.to ?? this.job.first + this.job.count;
  }

  finish(end: JobEnd): void {
    this.ended = true;
    this.#resolve(end);
  }

  /** Whether its results may come as one pack. */
  get together(): boolean {
    const { together = false, first, count, timeLimitMs = 0, memoryBytes = 0 } = this.job;
    const isWhole = this.next === first && this.end === first + count;
    return together && isWhole && count > 1 && timeLimitMs === 0 && memoryBytes === 0;
  }

  frame(): JobFrame {
    const { tagId, first, count, generation, callHash, sealed, parts } = this.job;
    return {
      id: this.id,
      tagId,
      first,
      count,
      from: this.next,
      to: this.end,
      attempt: this.job.attempt ?? 1,
      losses: this.job.losses ?? 0,
      limited: (this.job.timeLimitMs ?? 0) + (this.job.memoryBytes ?? 0) > 0 ? 1 : 0,
      together: this.together ? 1 : 0,
      generation,
      callHash,
      parts: parts?.count ?? 0,
      sealed: sealed ?? new Uint8Array(),
    };
  }
}

export class JobTable<J extends Job> {
  readonly #jobs = new Map<number, HeldJob<J>>();
  /** The same, and some that have ended: looking for the first of a map that shrinks at its front is slow. */
  #order: HeldJob<J>[] = [];
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

  /** Whether it is the first, or would be if that one ended. */
  isNear(held: HeldJob<J>): boolean {
    if (held === this.#head) return true;
    const jobs = this.#jobs.values();
    jobs.next();
    return jobs.next().value === held;
  }

  /** Those behind the first. */
  waiting(): HeldJob<J>[] {
    return [...this.#jobs.values()].slice(1);
  }

  add(job: J, resolve: (end: JobEnd) => void): HeldJob<J> {
    const held = new HeldJob(this.#nextId++, job, resolve);
    this.#jobs.set(held.id, held);
    this.#order.push(held);
    this.#announce();
    return held;
  }

  end(held: HeldJob<J>, end: JobEnd): void {
    if (!this.#jobs.delete(held.id)) return;
    held.finish(end);
    this.#announce();
  }

  /**
   * None of them was started, or not beyond the outcomes it has.
   * @param begun whether only the executor says so of the first, in which user code has its hands
   */
  returnAll(reason: string, begun = true): void {
    const jobs = [...this.#jobs.values()];
    const head = this.#head;
    this.#jobs.clear();
    this.#order = [];
    this.#head = undefined;
    for (const held of jobs) {
      held.finish({ state: "returned", outcomes: held.outcomes, reason, begun: begun && held === head });
    }
  }

  /**
   * The executor has ended. The call that ran is to blame: the first without an outcome, or a later one that the
   * executor noted before it ended. Whatever else it held comes back.
   */
  crash(noted: Position | undefined, cause: EndCause): void {
    const holder = noted === undefined ? undefined : this.#jobs.get(noted.job);
    // User code can write there: a call that is none of the job's tells nothing.
    const named = holder !== undefined && noted!.index < holder.end ? holder : undefined;
    const blamed = named ?? this.#head;
    // Where it is within a chunk whose earlier outcomes were held back, these are lost: the chunk comes back, to be
    // run on from there. So does one whose results were to come together; then it runs call by call, and it shows.
    const isNext = named === undefined || noted === undefined || noted.index <= named.next;
    const isUnsure = blamed?.together === true && cause.kind !== "killed";
    if (isUnsure) blamed.job.together = false;
    else if (blamed !== undefined && isNext) {
      this.#jobs.delete(blamed.id);
      blamed.finish({ state: "crashed", outcomes: blamed.outcomes, index: blamed.next, cause });
    }
    this.returnAll(cause.message);
  }

  #announce(): void {
    while (this.#order[0]?.ended === true) this.#order.shift();
    const [first] = this.#order;
    if (first === this.#head) return;
    this.#head = first;
    if (first !== undefined) this.#onHead(first);
  }
}
