/** What goes wrong between humq and its broker, as errors that a user can act on. */
import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import {
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  type NatsConnection,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from "@nats-io/transport-node";
import { BrokerError, HumqError } from "../errors.ts";

const CLIENT_ERRORS = [
  JetStreamApiError,
  JetStreamError,
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
];

/** Whether the broker says that a stream holds as much as it may. */
export function saysFull(message: string): boolean {
  return /maximum (?:bytes|messages) exceeded/i.test(message);
}

/**
 * What to do about what the broker said; undefined where there is nothing but to read it. The first is the kernel's word
 * for it, which nats-server passes on. A stream that met a full disk stores nothing until nats-server is started
 * again, and says nothing any more when it is asked to (2.15.2).
 */
export function adviceOn(message: string): string | undefined {
  if (/no space left on device|disk quota exceeded|insufficient (?:storage )?resources/i.test(message)) {
    return "the disk of the broker is full. Whoever runs it makes room there and starts nats-server again; nothing that was stored is lost";
  }
  if (saysFull(message)) {
    return "your share of the broker's disk is full. Make room with humq delete TAG, or --downloaded-only after a pull, or ask its owner for more";
  }
  // All that it says where it could not make a file for a queue.
  if (/error creating store/i.test(message)) return "its disk is full, or it may not write there; its log says";
  // What it says of a batch of which it could not keep a message until the last had come.
  if (/batch is incomplete/i.test(message)) return "it had no time for it, or its disk is full; its log says";
  return undefined;
}

/** Whether the same may go well a while later: the broker is away, or busy. */
export function isBrokerTrouble(error: unknown): boolean {
  return error instanceof BrokerError || CLIENT_ERRORS.some((type) => error instanceof type);
}

/** Why a connection ended: what ended it, where that says more than that it is closed. */
export async function whyClosed(nc: NatsConnection, error: unknown): Promise<unknown> {
  if (!nc.isClosed() || !isBrokerTrouble(error)) return error;
  const reason = await nc.closed();
  return reason instanceof HumqError ? reason : error;
}

/** @returns the error itself where it is not one of the NATS client */
export function asBrokerError(error: unknown): unknown {
  if (!(error instanceof Error) || !CLIENT_ERRORS.some((type) => error instanceof type)) return error;
  const message = error.message || error.name;
  const advice = adviceOn(message);
  return new BrokerError(
    `the broker does not do what it was asked: ${message}${advice === undefined ? "" : `: ${advice}`}`,
    { cause: error },
  );
}
