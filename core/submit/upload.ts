/** Storing call messages: in atomic batches where that pays, else singly side by side; and what does not fit them. */
import { Lanes } from "../broker/lanes.ts";
import { Line } from "../broker/line.ts";
import { streamOf } from "../broker/names.ts";
import { isPassing } from "../broker/persist.ts";
import { BATCH_MESSAGES, isTaken, type Message, publish, publishBatch } from "../broker/publish.ts";
import type { Part } from "./messages.ts";
import type { SafeStore } from "./store.ts";

/** An atomic batch costs about 2.4 ms whatever its size, so fewer messages than this go singly, side by side. */
const BATCH_WORTH = 150;
const BATCHES_AT_ONCE = 2;
const SINGLES_AT_ONCE = 64;
const PARTS_AT_ONCE = 16;
const BATCH_BYTES = 16 * 2 ** 20;

export class Uploader {
  readonly #store: SafeStore;
  readonly #stream: string;
  readonly #lanes: Lanes;
  #waiting: Message[] = [];
  #bytes = 0;
  /** Messages that the broker has confirmed. */
  confirmed = 0;

  /**
   * @param u short user
   * @param total messages that will come; infinite where that is not known
   */
  constructor(store: SafeStore, u: string, total: number) {
    this.#store = store;
    this.#stream = streamOf.calls(u);
    this.#lanes = new Lanes(total < BATCH_WORTH ? SINGLES_AT_ONCE : BATCHES_AT_ONCE);
  }

  async add(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      if (this.#waiting.length === BATCH_MESSAGES || this.#bytes + message.data.length > BATCH_BYTES)
        await this.#flush();
      this.#waiting.push(message);
      this.#bytes += message.data.length;
    }
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (batch.length >= BATCH_WORTH) await this.#lanes.run(() => this.#send(batch));
    else for (const message of batch) await this.#lanes.run(() => this.#send([message]));
  }

  /** Sends messages until each is stored. A subject takes one message, so those that come twice are refused. */
  async #send(messages: readonly Message[]): Promise<void> {
    let isSure = true;
    const known = new Set<Message>();
    await this.#store.persist(async () => {
      // Of messages whose answer did not come some may be stored: a server that is killed may keep part of a batch.
      let left = isSure ? messages : await this.#store.missing(this.#stream, messages, known);
      isSure = false;
      while (left.length > 0) {
        try {
          await this.#publish(left);
          return;
        } catch (error) {
          if (!isTaken(error)) throw error;
          const missing = await this.#store.missing(this.#stream, left, known);
          // Refused as taken, and yet none of them is stored.
          if (missing.length === left.length) throw error;
          left = missing;
        }
      }
    });
    this.confirmed += messages.length;
  }

  async #publish(messages: readonly Message[]): Promise<void> {
    if (messages.length >= BATCH_WORTH) await publishBatch(this.#store.nc, messages);
    else for (const message of messages) await publish(this.#store.nc, message);
  }

  async done(): Promise<void> {
    await this.#flush();
    await this.#lanes.done();
  }
}

/** Stores parts of calls' arguments, side by side where nothing of them can be stored yet. */
export class PartUploader {
  readonly #store: SafeStore;
  readonly #isNew: boolean;
  readonly #check: () => Promise<void>;
  #lanes = new Lanes(PARTS_AT_ONCE);
  /** Those of which not every part is confirmed, by call. */
  readonly #unsure = new Set<readonly Part[]>();

  /** @param check throws where somebody else has gone on with the tag */
  constructor(store: SafeStore, isNew: boolean, check: () => Promise<void>) {
    this.#store = store;
    this.#isNew = isNew;
    this.#check = check;
  }

  /** Takes all parts of one call's arguments. Resolves when the next may come. */
  async add(parts: readonly Part[]): Promise<void> {
    this.#unsure.add(parts);
    if (!this.#isNew) return this.#again();
    let left = parts.length;
    await this.#unlessPassing(async () => {
      for (const part of parts) {
        await this.#lanes.run(async () => {
          await Line.of(this.#store.nc).whileUp(() => publish(this.#store.nc, part));
          if (--left === 0) this.#unsure.delete(parts);
        });
      }
    });
  }

  /** Resolves when all are stored. */
  async done(): Promise<void> {
    await this.#unlessPassing(() => this.#lanes.done());
  }

  async #unlessPassing(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!isPassing(error)) throw error;
      await this.#lanes.done().catch(() => undefined);
      this.#lanes = new Lanes(PARTS_AT_ONCE);
      await this.#again();
    }
  }

  /** Stores what is missing of them, looking first. */
  async #again(): Promise<void> {
    for (const parts of this.#unsure) {
      await this.#store.parts(parts[0]!.stream, parts, 0, this.#check);
      this.#unsure.delete(parts);
    }
  }
}
