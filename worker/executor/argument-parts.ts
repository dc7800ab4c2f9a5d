import type { Channel } from "./channel.ts";
import type { Job } from "./job.ts";
import type { HeldJob, JobTable } from "./job-table.ts";

/**
 * Sends the parts of jobs' arguments to an executor, as fast as it takes them: of one job after the other, and only of the one
 * that runs and the next, so that an executor holds the arguments of no more than these.
 */
export class ArgumentSender<J extends Job> {
  readonly #channel: Channel;
  readonly #table: JobTable<J>;
  readonly #onFailed: (held: HeldJob<J>, error: unknown) => void;
  #waiting: HeldJob<J>[] = [];
  #sending = false;

  /** @param onFailed the arguments of a job do not come */
  constructor(channel: Channel, table: JobTable<J>, onFailed: (held: HeldJob<J>, error: unknown) => void) {
    this.#channel = channel;
    this.#table = table;
    this.#onFailed = onFailed;
  }

  /** Takes a job that the executor has been told of, if its arguments come in parts. */
  add(held: HeldJob<J>): void {
    if (held.job.parts === undefined) return;
    this.#waiting.push(held);
    this.next();
  }

  /** Another job has become the first. */
  next(): void {
    if (this.#waiting.length > 0 && !this.#sending) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#sending = true;
    for (;;) {
      this.#waiting = this.#waiting.filter((held) => !held.ended);
      const [held] = this.#waiting;
      if (held === undefined || !this.#table.isNear(held)) break;
      this.#waiting.shift();
      await this.#send(held).catch((error) => this.#onFailed(held, error));
    }
    this.#sending = false;
  }

  /** @throws whatever reading the parts throws, or an Error where their number is not the announced one */
  async #send(held: HeldJob<J>): Promise<void> {
    const { parts } = held.job;
    if (parts === undefined) return;
    let part = 0;
    for await (const sealed of parts.read()) {
      if (held.ended) return;
      if (part === parts.count) throw new Error(`more than the ${parts.count} announced parts came`);
      await this.#channel.sendPart({ job: held.id, part: part++ }, sealed);
    }
    if (part < parts.count) throw new Error(`${part} of ${parts.count} parts came`);
  }
}
