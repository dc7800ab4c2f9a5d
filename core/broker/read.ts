/**
 * Reading stored messages by direct get (ADR-31): no consumer, no state on the server, any client with the right.
 *
 * A worker reads from accounts whose owners may answer in the broker's place, so answers are checked here. nats.js's
 * own reader throws where an answer has no headers, in the middle of reading the socket, after which its connection
 * hears nothing any more.
 */
import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";
import { JETSTREAM_API } from "./names.ts";

/** Bytes asked for at once; the server ends a batch that grows beyond them. */
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_MESSAGES = 1000;
/** How long to wait for an answer, or for the next message of a batch. */
const TIMEOUT_MS = 10_000;

const END_OF_BATCH = 204;
const NOT_FOUND = 404;
const NO_RESPONDERS = 503;

/** A message as a stream holds it. */
export class Stored {
  readonly subject: string;
  /** Its sequence in the stream. */
  readonly seq: number;
  readonly data: Uint8Array;
  readonly #time: string;

  constructor(subject: string, seq: number, data: Uint8Array, time: string) {
    this.subject = subject;
    this.seq = seq;
    this.data = data;
    this.#time = time;
  }

  /** When it was stored, by the server's clock, in milliseconds since 1970; NaN where the server does not say. */
  get timeMs(): number {
    return Date.parse(this.#time);
  }

  /** The data as UTF-8. */
  string(): string {
    return Buffer.from(this.data).toString("utf8");
  }
}

/** What was asked for. */
interface Query {
  stream: string;
  /** Wildcards allowed. */
  subject: string;
  from: number;
  /** The server said that nothing is left. */
  ended?: boolean;
}

export class StreamReader {
  readonly #nc: NatsConnection;
  readonly #apiPrefix: string;

  private constructor(nc: NatsConnection, apiPrefix: string) {
    this.#nc = nc;
    this.#apiPrefix = apiPrefix;
  }

  /** @param apiPrefix `$JS.API`, or the imported one in accounts without JetStream of their own */
  static async open(nc: NatsConnection, apiPrefix: string = JETSTREAM_API): Promise<StreamReader> {
    return new StreamReader(nc, apiPrefix);
  }

  /**
   * The last message on a subject, by the form of request that permissions can tell apart by subject.
   * @throws BrokerError where no proper answer comes
   */
  last(stream: string, subject: string): Promise<Stored | null> {
    return this.#ask({ stream, subject, from: 1 }, `${this.#apiPrefix}.DIRECT.GET.${stream}.${subject}`, "");
  }

  /**
   * The first message on a subject (wildcards allowed) from sequence `from` on.
   * @throws BrokerError where no proper answer comes
   */
  next(stream: string, subject: string, from = 1): Promise<Stored | null> {
    const query = JSON.stringify({ seq: from, next_by_subj: subject });
    return this.#ask({ stream, subject, from }, `${this.#apiPrefix}.DIRECT.GET.${stream}`, query);
  }

  /**
   * All messages on a subject (wildcards allowed), in the order stored, from sequence `from` on.
   * @throws BrokerError where no proper answer comes
   */
  async *all(stream: string, subject: string, from = 1): AsyncGenerator<Stored> {
    const query: Query = { stream, subject, from };
    for (let found = true; found && query.ended !== true; ) {
      found = false;
      for await (const message of this.#batch({ ...query }, query)) {
        found = true;
        query.from = message.seq + 1;
        yield message;
      }
    }
  }

  async #ask(query: Query, subject: string, payload: string): Promise<Stored | null> {
    let answer: Msg;
    try {
      answer = await this.#nc.request(subject, payload, { timeout: TIMEOUT_MS });
    } catch (cause) {
      throw failure(query, cause instanceof Error ? cause.message : String(cause), cause);
    }
    return parse(query, answer) ?? null;
  }

  /** @param whole learns whether anything is left behind what this yields */
  async *#batch(query: Query, whole: Query): AsyncGenerator<Stored> {
    const answers = new Answers(this.#nc);
    const matches = matcher(query.subject);
    let least = query.from;
    try {
      const request = { seq: least, next_by_subj: query.subject, batch: BATCH_MESSAGES, max_bytes: BATCH_BYTES };
      const { inbox: reply } = answers;
      this.#nc.publish(`${this.#apiPrefix}.DIRECT.GET.${query.stream}`, JSON.stringify(request), { reply });
      for (;;) {
        const answer = await answers.next(query);
        const message = parse(query, answer, matches, least);
        if (message === undefined) {
          whole.ended = answer.headers?.last("Nats-Num-Pending") === "0";
          return;
        }
        least = message.seq + 1;
        yield message;
      }
    } finally {
      answers.close();
    }
  }
}

/** The answers to one batch, as they come. */
class Answers {
  readonly inbox = createInbox();
  readonly #most: number;
  readonly #close: () => void;
  readonly #waiting: Msg[] = [];
  #taken = 0;
  #count = 0;
  #bytes = 0;
  #failed: string | undefined;
  #wake: () => void = () => undefined;

  constructor(nc: NatsConnection) {
    this.#most = BATCH_BYTES + (nc.info?.max_payload ?? 0);
    const subscription = nc.subscribe(this.inbox, {
      callback: (error, message) => this.#receive(error, message),
    });
    this.#close = () => subscription.unsubscribe();
  }

  #receive(error: Error | null, message: Msg): void {
    this.#count++;
    this.#bytes += message.data?.length ?? 0;
    if (error !== null) this.#failed ??= error.message;
    else if (this.#count > BATCH_MESSAGES + 1 || this.#bytes > this.#most)
      this.#failed ??= "more came than was asked for";
    else this.#waiting.push(message);
    this.#wake();
  }

  async next(query: Query): Promise<Msg> {
    if (this.#taken === this.#waiting.length && this.#failed === undefined) await this.#arrival();
    const message = this.#waiting[this.#taken++];
    if (message === undefined) throw failure(query, this.#failed ?? "timeout");
    return message;
  }

  /** Resolves when something has come, or has not for too long. */
  async #arrival(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, TIMEOUT_MS);
    await promise;
    clearTimeout(timer);
  }

  close(): void {
    this.#close();
  }
}

function failure(query: Query, reason: string, cause?: unknown): BrokerError {
  return new BrokerError(`cannot read ${query.subject} from ${query.stream}: ${reason}`, { cause });
}

/** @returns undefined where there is no (further) message */
function parse(query: Query, answer: Msg, matches = matcher(query.subject), least = query.from): Stored | undefined {
  const { headers, data } = answer;
  const status = headers?.code ?? 0;
  if (status === END_OF_BATCH || status === NOT_FOUND) return undefined;
  if (status === NO_RESPONDERS) throw failure(query, "nobody answers for it");
  if (status !== 0) throw failure(query, `${headers?.description || "no reason given"} (${status})`);
  const subject = headers?.last("Nats-Subject") ?? "";
  const seq = Number(headers?.last("Nats-Sequence"));
  if (!Number.isSafeInteger(seq) || seq < least || !matches(subject)) {
    throw failure(query, "the answer is not what was asked for");
  }
  return new Stored(subject, seq, data, headers?.last("Nats-Time-Stamp") ?? "");
}

/** Whether a subject is one that a filter with wildcards stands for. */
function matcher(filter: string): (subject: string) => boolean {
  const tokens = filter.split(".").map((token) => {
    if (token === "*") return "[^.]+";
    if (token === ">") return ".+";
    return token.replace(/[^A-Za-z0-9_-]/g, "\\$&");
  });
  const pattern = new RegExp(`^${tokens.join("\\.")}$`);
  return (subject) => pattern.test(subject);
}
