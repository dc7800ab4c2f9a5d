/** Listening for live hints. */
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Log } from "./log.ts";

/**
 * Calls `onMessage` with what comes on `subject`. Where the broker does not allow that (a login granted by an older
 * version, say) the log tells; what the hints are about is then found by looking through what is stored.
 */
export function hear(nc: NatsConnection, subject: string, log: Log, onMessage: (message: Msg) => void): Subscription {
  return nc.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) onMessage(message);
      else log.warn(`cannot listen to ${subject}: ${error.message}`);
    },
  });
}
