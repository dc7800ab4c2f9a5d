/** Reading stored messages by direct get (ADR-31): no consumer, no state on the server, any client with the right. */
import { type JetStreamManager, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { JETSTREAM_API } from "./names.ts";

/** Bytes asked for at once; the server ends a batch that grows beyond them. */
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_MESSAGES = 1000;

export class StreamReader {
  readonly #manager: JetStreamManager;

  private constructor(manager: JetStreamManager) {
    this.#manager = manager;
  }

  /** @param apiPrefix `$JS.API`, or the imported one in accounts without JetStream of their own */
  static async open(nc: NatsConnection, apiPrefix: string = JETSTREAM_API): Promise<StreamReader> {
    return new StreamReader(await jetstreamManager(nc, { checkAPI: false, apiPrefix, timeout: 10_000 }));
  }

  /** The last message on a subject, by the form of request that permissions can tell apart by subject. */
  async last(stream: string, subject: string): Promise<StoredMsg | null> {
    return this.#manager.direct.getMessage(stream, { last_by_subj: subject });
  }

  /** The first message on a subject (wildcards allowed) from sequence `from` on. */
  async next(stream: string, subject: string, from = 1): Promise<StoredMsg | null> {
    return this.#manager.direct.getMessage(stream, { seq: from, next_by_subj: subject });
  }

  /** All messages on a subject (wildcards allowed), in the order stored, from sequence `from` on. */
  async *all(stream: string, subject: string, from = 1): AsyncGenerator<StoredMsg> {
    for (let seq = from; ; ) {
      let received = 0;
      const batch = await this.#manager.direct.getBatch(stream, {
        seq,
        next_by_subj: subject,
        batch: BATCH_MESSAGES,
        max_bytes: BATCH_BYTES,
      });
      try {
        for await (const message of batch) {
          received++;
          seq = message.seq + 1;
          yield message;
        }
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      if (received === 0) return;
    }
  }
}

/** "Nothing (more) on that subject" is an ordinary end of a batch. */
function isNotFound(error: unknown): boolean {
  return error instanceof Error && (error as Error & { code?: unknown }).code === 404;
}
