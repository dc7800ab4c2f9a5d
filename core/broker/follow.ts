/** Following a subject of one's own stream: first what is stored from a sequence on, then what comes. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AckPolicy, DeliverPolicy, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { Intake, type Taken } from "./intake.ts";

/** An abandoned consumer goes by itself after this. */
const INACTIVE_MS = 60_000;
/** Where more is stored a batch waits so long for what is on its way: what is done with one costs most where it is small. */
const GATHER_MS = 5;

export type Followed = Pick<Taken, "subject" | "data" | "seq" | "pending">;

/** How many messages are stored on `subject` (wildcards allowed) from sequence `from` on: 10 ms per 100,000. */
export async function countStored(nc: NatsConnection, stream: string, subject: string, from = 1): Promise<number> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const name = `count-${randomUUID()}`;
  const info = await manager.consumers.add(stream, consumerConfig(name, subject, from));
  await manager.consumers.delete(stream, name);
  return info.num_pending;
}

/** The sequence of the newest message of a stream; 0 where there never was one. */
export async function lastSequence(nc: NatsConnection, stream: string): Promise<number> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  return (await manager.streams.info(stream)).state.last_seq;
}

function consumerConfig(name: string, subject: string, from: number) {
  return {
    name,
    filter_subject: subject,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, from),
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
    num_replicas: 1,
  } as const;
}

/** After a broker's restart its streams are back only after a while. */
const REOPEN_WITHIN_MS = 60_000;
const REOPEN_WAIT_MS = 500;
/** How often to look whether the connection is still the one on which the messages were asked for. */
const WATCH_MS = 1_000;
/** After so long without a message the broker is asked whether it still has the consumer, and whether that stands still. */
const SILENT_MS = 10_000;
/** So often in a row, and it is read anew. */
const STALLS = 2;

export interface FollowOptions {
  /** Go on waiting when all that is stored was seen; else end there. */
  forever: boolean;
  /** Messages that are yielded at once, at most. */
  batch: number;
  /** Ends it. */
  signal?: AbortSignal;
}

/** Changes with each connection to the broker, also when the broker has started anew. */
function connectionOf(nc: NatsConnection): string {
  return `${nc.info?.server_id} ${nc.info?.client_id}`;
}

/** A consumer made for one read, and what comes from it. */
interface Reading {
  stream: string;
  name: string;
  connection: string;
  /** Absent where there is nothing to read. */
  intake?: Intake;
}

async function open(
  nc: NatsConnection,
  stream: string,
  subject: string,
  from: number,
  forever: boolean,
): Promise<Reading> {
  const connection = connectionOf(nc);
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const name = `follow-${randomUUID()}`;
  const info = await manager.consumers.add(stream, consumerConfig(name, subject, from));
  if (info.num_pending === 0 && !forever) return { stream, name, connection };
  return { stream, name, connection, intake: new Intake(nc, stream, name) };
}

/** Whoever waits for ever waits as long as the broker does not answer; what it refuses for long it refuses for good. */
async function reopen(
  action: () => Promise<Reading>,
  nc: NatsConnection,
  { forever, signal }: FollowOptions,
): Promise<Reading> {
  for (let giveUpMs = performance.now() + REOPEN_WITHIN_MS; ; ) {
    try {
      return await action();
    } catch (error) {
      if (nc.isClosed() || signal?.aborted === true || performance.now() > giveUpMs) throw error;
      if (forever && !(error instanceof JetStreamApiError)) giveUpMs = performance.now() + REOPEN_WITHIN_MS;
      await delay(REOPEN_WAIT_MS);
    }
  }
}

/**
 * Stops a read that nothing will come of any more: another connection, a consumer that is gone or whose server is, one
 * that does not give out what it has.
 * @returns ends it
 */
function watchReading(nc: NatsConnection, { stream, name, connection }: Reading, stop: () => void) {
  let heardMs = performance.now();
  let stalls = 0;
  let asking = false;
  const ask = async () => {
    asking = true;
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const askedMs = performance.now();
    const well = await manager.consumers.info(stream, name).then(
      ({ num_pending }) => num_pending === 0,
      () => false,
    );
    asking = false;
    if (heardMs > askedMs) return;
    stalls = well ? 0 : stalls + 1;
    heardMs = performance.now();
    if (stalls === STALLS) stop();
  };
  const timer = setInterval(() => {
    if (connectionOf(nc) !== connection) stop();
    else if (!asking && performance.now() - heardMs > SILENT_MS) void ask();
  }, WATCH_MS);
  return {
    heard: () => {
      heardMs = performance.now();
      stalls = 0;
    },
    end: () => clearInterval(timer),
  };
}

/**
 * Yields batches of messages as they arrive, without a gap: what was on its way when the connection broke, or when a
 * restart of the broker took the consumer, is read again.
 */
export async function* follow(
  nc: NatsConnection,
  stream: string,
  subject: string,
  from: number,
  options: FollowOptions,
): AsyncGenerator<Followed[]> {
  const { forever } = options;
  const manager = await jetstreamManager(nc, { checkAPI: false });
  let next = from;
  let reading = await open(nc, stream, subject, next, forever);
  for (;;) {
    const batches = readInOrder(nc, reading, options);
    const before = next;
    try {
      let step = await batches.next();
      for (; step.done !== true; step = await batches.next()) {
        next = step.value.at(-1)!.seq + 1;
        yield step.value;
      }
      if (step.value) return;
    } finally {
      await batches.return(true);
      if (!nc.isClosed()) await manager.consumers.delete(stream, reading.name).catch(() => undefined);
    }
    if (next === before) await delay(REOPEN_WAIT_MS);
    reading = await reopen(() => open(nc, stream, subject, next, forever), nc, options);
  }
}

/** @returns false where messages may have been lost: none is acknowledged, so nobody sends them again */
async function* readInOrder(
  nc: NatsConnection,
  reading: Reading,
  options: FollowOptions,
): AsyncGenerator<Followed[], boolean> {
  const { intake } = reading;
  if (intake === undefined) return true;
  const stop = () => intake.stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  // It may have been aborted while the consumer was made.
  if (options.signal?.aborted === true) stop();
  const watch = watchReading(nc, reading, stop);
  try {
    return yield* inBatches(intake, options, watch.heard);
  } finally {
    watch.end();
    options.signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** Groups what has arrived already, or is about to, so that nobody waits for a batch to fill. */
async function* inBatches(
  intake: Intake,
  { batch: size, forever, signal }: FollowOptions,
  heard: () => void,
): AsyncGenerator<Followed[], boolean> {
  let delivered = 0;
  for (;;) {
    await intake.arrival();
    const batch: Followed[] = [];
    for (let pending = 1; batch.length < size && pending > 0; ) {
      if (intake.arrived === 0) await intake.arrival(GATHER_MS);
      const message = intake.take();
      if (message === undefined) break;
      if (message.delivery !== ++delivered) {
        if (batch.length > 0) yield batch;
        return false;
      }
      batch.push(message);
      pending = message.pending;
    }
    const last = batch.at(-1);
    if (last === undefined) return signal?.aborted === true;
    heard();
    yield batch;
    if ((last.pending === 0 && !forever) || signal?.aborted === true) return true;
  }
}
