/** Storing outcomes, first write wins: singly side by side, or in atomic batches where many wait. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Expiring } from "../core/broker/expiry.ts";
import { subjectOf } from "../core/broker/names.ts";
import { expectNone, isTaken, type Message, publish, publishBatch } from "../core/broker/publish.ts";
import { AnswerLost, type Cuts } from "./cuts.ts";
import type { Log } from "./log.ts";

/**
 * An atomic batch costs the server about 2.4 ms whatever its size, a single costs this process a request of its own:
 * from about this many on a batch is cheaper for both. While one is under way the next gathers, so batches grow
 * with the load.
 */
const BATCH_WORTH = 32;
const WRITES_AT_ONCE = 2;
const BATCH_MOST = 1000;
const BATCH_BYTES = 16 * 2 ** 20;
const RETRY_LEAST_MS = 200;
const RETRY_MOST_MS = 10_000;
/** Of many outcomes that cannot be stored the log speaks this often. */
const TELL_MS = 10_000;

interface Waiting extends Message {
  /** What has to be empty for this outcome to be the first. */
  slot: string;
  stored(): void;
}

/** The outcomes of one user on their way to the broker. */
export class OutcomeWriter {
  readonly #nc: NatsConnection;
  readonly #u: string;
  readonly #datacenter: string;
  readonly #log: Log;
  readonly #cuts: Cuts;
  #toldMs = Number.NEGATIVE_INFINITY;
  #waiting: Waiting[] = [];
  #writing = 0;
  #closed = false;
  #abandoned = false;

  constructor(nc: NatsConnection, u: string, datacenter: string, log: Log, cuts: Cuts) {
    this.#nc = nc;
    this.#u = u;
    this.#datacenter = datacenter;
    this.#log = log;
    this.#cuts = cuts;
  }

  /** Resolves when the call has an outcome: this one, or one that was stored before. */
  write(tag: string, index: number, kind: "result" | "error", data: Uint8Array, expiry: Expiring): Promise<void> {
    return new Promise((stored) => {
      this.#waiting.push({
        subject: subjectOf.outcome(this.#u, kind, this.#datacenter, tag, index),
        slot: subjectOf.outcome(this.#u, "*", this.#datacenter, tag, index),
        data,
        ...expiry,
        stored,
      });
      if (this.#writing < WRITES_AT_ONCE) {
        this.#writing++;
        // What ends in the same turn of the event loop goes together.
        setImmediate(() => void this.#writeAll());
      }
    });
  }

  /** What goes next: one outcome a slot, since the server does not hold messages of one batch against each other. */
  #take(): Waiting[] {
    const slots = new Set<string>();
    let bytes = 0;
    for (const { slot, data } of this.#waiting) {
      if (slots.size === BATCH_MOST || bytes > BATCH_BYTES || slots.has(slot)) break;
      slots.add(slot);
      bytes += data.length;
    }
    return this.#waiting.splice(0, slots.size);
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closed) {
      const batch = this.#take();
      if (this.#abandoned || batch.length < BATCH_WORTH || !(await this.#tryBatch(batch))) {
        await Promise.all(batch.map((outcome) => this.#writeOne(outcome)));
      }
    }
    this.#writing--;
  }

  async #tryBatch(batch: readonly Waiting[]): Promise<boolean> {
    try {
      await this.#cuts.answer(publishBatch(this.#nc, batch, (message) => expectNone((message as Waiting).slot)));
      for (const outcome of batch) outcome.stored();
      return true;
    } catch {
      // One taken slot refuses the whole batch and does not say which: singles tell it each by itself.
      return false;
    }
  }

  /** Goes on until it is stored: a result that was computed is not given up while the worker lives. */
  async #writeOne(outcome: Waiting): Promise<void> {
    for (let waitMs = RETRY_LEAST_MS; !this.#closed && !this.#abandoned; waitMs = Math.min(waitMs * 2, RETRY_MOST_MS)) {
      try {
        await this.#cuts.answer(publish(this.#nc, outcome, expectNone(outcome.slot)));
        break;
      } catch (error) {
        // It may be stored already, by this attempt or an earlier one.
        if (isTaken(error)) break;
        if (error instanceof AnswerLost) continue;
        this.#tell(outcome, error as Error);
        await this.#cuts.pause(waitMs);
      }
    }
    if (!this.#closed) outcome.stored();
  }

  #tell({ subject }: Waiting, { message }: Error): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    this.#log.warn(`could not store ${subject}, trying again: ${message}`);
  }

  /** Gives up what is not stored because nobody may store it any more; nobody is to wait for it either. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** Gives up what is not stored; those calls are not acknowledged and run again elsewhere. */
  close(): void {
    this.#closed = true;
  }
}
