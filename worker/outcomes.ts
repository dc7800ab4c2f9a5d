/** Storing outcomes, first write wins: what comes while others are on their way goes in a row, with one answer for all. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type Guarded, publishChain } from "../core/broker/chain.ts";
import type { Expiring } from "../core/broker/expiry.ts";
import { subjectOf } from "../core/broker/names.ts";
import { expectNone, isTaken, publish, publishBatch } from "../core/broker/publish.ts";
import { AnswerLost, type Cuts } from "./cuts.ts";
import type { Log } from "./log.ts";
import { RowWay } from "./row-way.ts";

const WRITES_AT_ONCE = 2;
/**
 * A row is broken by whoever else stores something of this user's meanwhile, and what was in it is sent again one by one.
 * So rows become much shorter then, and longer by a few with each that was not broken.
 */
const ROW_MOST = 256;
const ROW_LEAST = 4;
const ROW_LONGER = 8;
const ROW_BYTES = 4 * 2 ** 20;
/** More in a row save next to nothing. */
const ROW_WORTH = 64;
/** Where several were stored at once lately, what follows is gathered for so long. */
const GATHER_MS = 5;
const LATELY_MS = 50;
const RETRY_LEAST_MS = 200;
const RETRY_MOST_MS = 10_000;
/** Of many outcomes that cannot be stored the log speaks this often. */
const TELL_MS = 10_000;

/** Its slot is what has to be empty for this outcome to be the first. */
interface Waiting extends Guarded {
  /** @param first false where something was there before, if only what was sent of a row that broke off */
  stored(first: boolean): void;
}

/** Whether each has a slot of its own: the server does not hold messages of a batch against each other. */
function standApart(row: readonly Waiting[]): boolean {
  return new Set(row.map(({ slot }) => slot)).size === row.length;
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
  #row = ROW_MOST;
  readonly #way = new RowWay();
  /** When something was sent last, and when several at once were. */
  #sentMs = Number.NEGATIVE_INFINITY;
  #severalMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #closed = false;
  #abandoned = false;

  constructor(nc: NatsConnection, u: string, datacenter: string, log: Log, cuts: Cuts) {
    this.#nc = nc;
    this.#u = u;
    this.#datacenter = datacenter;
    this.#log = log;
    this.#cuts = cuts;
  }

  /**
   * Resolves when the call has an outcome: this one, or one that was stored before.
   * @param urgent whether another call waits for the place of this one
   */
  async write(
    tag: string,
    index: number,
    kind: "result" | "error",
    data: Uint8Array,
    expiry: Expiring,
    urgent: boolean,
  ): Promise<void> {
    const placed = {
      subject: subjectOf.outcome(this.#u, kind, this.#datacenter, tag, index),
      slot: subjectOf.outcome(this.#u, "*", this.#datacenter, tag, index),
      data,
      ...expiry,
    };
    await this.store(placed, urgent);
  }

  /** Resolves when the message, or another before it, is in its place; true where it is certain that it is this one. */
  store(placed: Guarded, urgent = false): Promise<boolean> {
    return new Promise((stored) => {
      this.#waiting.push({ ...placed, stored });
      if (urgent) this.#severalMs = Number.NEGATIVE_INFINITY;
      this.#schedule();
    });
  }

  /** At once where they come one by one, else with what comes in a few milliseconds. */
  #schedule(): void {
    if (this.#waiting.length === 0 || this.#writing === WRITES_AT_ONCE) return;
    const now = performance.now();
    const gathers = now - this.#severalMs < LATELY_MS && this.#waiting.length < ROW_WORTH;
    const gatherMs = gathers ? this.#sentMs + GATHER_MS - now : 0;
    if (gatherMs > 0) this.#timer ??= setTimeout(() => void this.#write(), gatherMs);
    // What ends in the same turn of the event loop goes together.
    else this.#immediate ??= setImmediate(() => void this.#write());
  }

  #take(): Waiting[] {
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && count < this.#row && bytes < ROW_BYTES; count++) {
      bytes += this.#waiting[count]!.data.length;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
    if (this.#closed || this.#waiting.length === 0) return;
    const row = this.#take();
    this.#sentMs = performance.now();
    if (row.length > 1) this.#severalMs = this.#sentMs;
    this.#writing++;
    this.#schedule();
    if (this.#abandoned || row.length === 1 || !(await this.#tryRow(row))) {
      await Promise.all(row.map((outcome) => this.#writeOne(outcome)));
    }
    this.#writing--;
    this.#schedule();
  }

  async #tryRow(row: readonly Waiting[]): Promise<boolean> {
    const beganMs = performance.now();
    // Copies of a stream do not all know the newest id at every moment (docs/decisions/0013-speed.md).
    const isReplicated = (this.#nc.info?.cluster ?? "") !== "";
    const isBatch = (isReplicated || this.#way.isBatch(row.length, beganMs)) && standApart(row);
    if (isReplicated && !isBatch) return false;
    try {
      const written = isBatch
        ? publishBatch(this.#nc, row, (message) => expectNone((message as Waiting).slot))
        : publishChain(this.#nc, row);
      await this.#cuts.answer(written);
    } catch {
      // One that was refused refuses all behind it: singles tell it each by itself.
      this.#row = Math.max(ROW_LEAST, this.#row >> 1);
      return false;
    }
    const nowMs = performance.now();
    if (isBatch) this.#way.batchTook(row.length, nowMs - beganMs, nowMs);
    else this.#way.rowTook(row.length, nowMs - beganMs, nowMs);
    this.#row = Math.min(ROW_MOST, this.#row + ROW_LONGER);
    for (const outcome of row) outcome.stored(true);
    return true;
  }

  /** Goes on until it is stored: a result that was computed is not given up while the worker lives. */
  async #writeOne(outcome: Waiting): Promise<void> {
    for (let waitMs = RETRY_LEAST_MS; !this.#closed && !this.#abandoned; waitMs = Math.min(waitMs * 2, RETRY_MOST_MS)) {
      try {
        await this.#cuts.answer(publish(this.#nc, outcome, expectNone(outcome.slot)));
        break;
      } catch (error) {
        // It may be stored already, by this attempt or an earlier one.
        if (isTaken(error)) {
          if (!this.#closed) outcome.stored(false);
          return;
        }
        if (error instanceof AnswerLost) continue;
        this.#tell(outcome, error as Error);
        await this.#cuts.pause(waitMs);
      }
    }
    if (!this.#closed) outcome.stored(true);
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
