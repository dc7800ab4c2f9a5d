/** Telling that the broker is away, or busy, from what will not go better the next time. */
import { JetStreamApiError, JetStreamError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { BrokerError } from "../errors.ts";

const TROUBLE = [
  BrokerError,
  JetStreamError,
  JetStreamApiError,
  errors.TimeoutError,
  errors.NoRespondersError,
  errors.RequestError,
  errors.ConnectionError,
];

/** Whether the same may go well a while later. */
export function isBrokerTrouble(error: unknown): boolean {
  return TROUBLE.some((kind) => error instanceof kind);
}
