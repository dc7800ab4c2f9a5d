/** Publishing to streams: singly with an answer each, or in atomic batches (ADR-50). */
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";
import { type Expiring, withExpiry } from "./expiry.ts";
import { adviceOn, saysFull } from "./trouble.ts";

/** Error codes of the JetStream API that humq acts on (server/errors.json). */
export const ApiCode = {
  /** The subject's last sequence is not the expected one: somebody wrote first. */
  wrongLastSequence: 10071,
  /** The message was not stored; the description says why. */
  notStored: 10077,
  notFound: 10059,
  consumerNotFound: 10014,
  /** A consumer of that name exists, with other settings. */
  consumerExists: 10148,
  /** A stream of that name is there, with another configuration. */
  streamExists: 10058,
  /** A message is to go at a time, and the stream does not allow that. */
  noMessageTtl: 10166,
} as const;

/** A request to JetStream that the server answered with an error. */
export class ApiError extends BrokerError {
  /** The server's error code, see {@link ApiCode}. */
  readonly apiCode: number;

  constructor(what: string, apiCode: number, description: string) {
    const advice = adviceOn(description);
    super(`${what}: ${description} (JetStream error ${apiCode})${advice === undefined ? "" : `: ${advice}`}`);
    this.apiCode = apiCode;
  }
}

export interface Message extends Expiring {
  subject: string;
  data: Uint8Array;
}

/** How long to wait for an answer. After it the message may or may not be stored. */
const TIMEOUT_MS = 10_000;
/** Messages in one atomic batch; the server takes up to 1000. */
export const BATCH_MESSAGES = 1000;
/** A batch is flushed to the socket in strides, so that a large one does not pile up in memory. */
const FLUSH_BYTES = 4 * 2 ** 20;

/** What helps where {@link ApiCode.noMessageTtl} comes. */
const OLD_STREAMS = "An older humq made your streams: have the instance's owner run humq grant for you again";

interface Answer {
  error?: { err_code?: number; description?: string };
  seq?: number;
}

/** @throws BrokerError where it is no answer of a server's */
function parseAnswer(what: string, data: Uint8Array): Answer {
  try {
    return Object(JSON.parse(Buffer.from(data).toString("utf8"))) as Answer;
  } catch (cause) {
    throw new BrokerError(`${what}: the broker's answer is not one of nats-server's`, { cause });
  }
}

/**
 * Reads JetStream's answer to a message.
 * @returns the message's sequence in the stream
 * @throws ApiError where it was refused, BrokerError where it is no answer of a server's
 */
export function check(what: string, data: Uint8Array): number {
  const answer = parseAnswer(what, data);
  if (answer.error !== undefined) {
    const { err_code: code = 0, description = "no description" } = answer.error;
    const advice = code === ApiCode.noMessageTtl ? `. ${OLD_STREAMS}` : "";
    throw new ApiError(what, code, `${description}${advice}`);
  }
  return answer.seq ?? 0;
}

/**
 * Publishes a message and waits for JetStream's answer.
 * @throws BrokerError where none came
 */
export async function request(
  nc: NatsConnection,
  subject: string,
  data: Uint8Array,
  headers: MsgHdrs | undefined,
): Promise<Uint8Array> {
  const options = { timeout: TIMEOUT_MS, ...(headers === undefined ? {} : { headers }) };
  try {
    return (await nc.request(subject, data, options)).data;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BrokerError(
      `the broker did not confirm a message on ${subject}: ${reason}. It may be away, or its disk full; its log says`,
      { cause },
    );
  }
}

function ask(nc: NatsConnection, message: Message, messageHeaders?: MsgHdrs): Promise<Uint8Array> {
  return request(nc, message.subject, message.data, withExpiry(message, messageHeaders));
}

/**
 * Stores one message.
 * @returns its sequence in the stream
 * @throws ApiError where the stream refuses it, BrokerError where no answer came
 */
export async function publish(nc: NatsConnection, message: Message, messageHeaders?: MsgHdrs): Promise<number> {
  return check(message.subject, await ask(nc, message, messageHeaders));
}

/** The headers that let a message in only where `seq` is still the last on its subject. */
export function expectLast(subject: string, seq: number): MsgHdrs {
  const expected = headers();
  expected.set("Nats-Expected-Last-Subject-Sequence", String(seq));
  expected.set("Nats-Expected-Last-Subject-Sequence-Subject", subject);
  return expected;
}

/** The headers that let a message in only where nothing is stored on `subject` (which may hold wildcards). */
export function expectNone(subject: string): MsgHdrs {
  return expectLast(subject, 0);
}

/** No stream comes to have so many messages. */
const NEVER = Number.MAX_SAFE_INTEGER;

/**
 * The sequence of the newest message on `place` (wildcards allowed), 0 where there is none: for whoever may write to a
 * stream and not read it. Asked by a message that the server has to refuse, and in doing so says it.
 * @param subject where the asker may publish
 * @throws BrokerError where no proper answer comes
 */
export async function lastSequenceOn(nc: NatsConnection, subject: string, place: string): Promise<number> {
  try {
    await publish(nc, { subject, data: new Uint8Array() }, expectLast(place, NEVER));
  } catch (error) {
    if (!(error instanceof ApiError) || error.apiCode !== ApiCode.wrongLastSequence) throw error;
    return Number(/wrong last sequence: (\d+)/.exec(error.message)?.[1] ?? 0);
  }
  throw new BrokerError(`the broker stored a message on ${subject} that it had to refuse`);
}

/**
 * True where the error says that the subject is taken already: the first write won. A full stream has the same code as
 * a write-once subject that holds a message; only the description tells them apart (ErrMaxMsgsPerSubject).
 */
export function isTaken(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  const { apiCode, message } = error;
  return (
    apiCode === ApiCode.wrongLastSequence || (apiCode === ApiCode.notStored && message.includes("messages per subject"))
  );
}

/** True where the stream holds as much as it may: its user has to make room, or get a larger quota. */
export function isFull(error: unknown): boolean {
  return error instanceof ApiError && saysFull(error.message);
}

let batches = 0;
const batchPrefix = `${process.pid.toString(36)}-${Date.now().toString(36)}`;

/**
 * Stores up to {@link BATCH_MESSAGES} messages of one stream, all or none.
 * nats.js's own batch publisher hides which error the server gave, hence this one. The server checks messages against
 * what is stored, not against each other, so no two may have the same subject or a guard that names the other's:
 * nats-server 2.15.2 refuses a batch with a subject twice but keeps the messages in front of the second, and stores
 * a result and an error of one call side by side.
 * @param guard gives the headers that a message must meet, for example {@link expectNone}
 * @throws ApiError where the server refuses the batch; nothing of it is stored then
 */
export async function publishBatch(
  nc: NatsConnection,
  messages: readonly Message[],
  guard?: (message: Message) => MsgHdrs,
): Promise<void> {
  if (messages.length > BATCH_MESSAGES) throw new RangeError(`a batch of ${messages.length} messages`);
  const last = messages.at(-1);
  if (last === undefined) return;
  const id = `${batchPrefix}-${++batches}`;
  const headersOf = (message: Message, sequence: number): MsgHdrs => {
    const batchHeaders = guard === undefined ? headers() : guard(message);
    batchHeaders.set("Nats-Batch-Id", id);
    batchHeaders.set("Nats-Batch-Sequence", String(sequence));
    return batchHeaders;
  };
  let waiting = 0;
  // The first message asks for an answer: an error in it is the only word about a batch that was never opened.
  const opened =
    messages.length > 1 ? ask(nc, messages[0]!, headersOf(messages[0]!, 1)) : Promise.resolve(new Uint8Array());
  opened.catch(() => undefined);
  for (let i = 1; i < messages.length - 1; i++) {
    const message = messages[i]!;
    nc.publish(message.subject, message.data, { headers: withExpiry(message, headersOf(message, i + 1))! });
    waiting += message.data.length;
    if (waiting > FLUSH_BYTES) {
      await nc.flush();
      waiting = 0;
    }
  }
  const commit = headersOf(last, messages.length);
  commit.set("Nats-Batch-Commit", "1");
  const committed = ask(nc, last, commit);
  committed.catch(() => undefined);
  const answer = await opened;
  if (answer.length > 0) check("the first message of a batch", answer);
  check("a batch", await committed);
}
