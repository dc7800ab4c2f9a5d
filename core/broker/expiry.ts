/**
 * When messages go from the broker by themselves (docs/decisions/0006-retention.md). Streams drop what is older than
 * {@link RETENTION_MS}; a message that is to go sooner says so in a header (ADR-43), which cannot make it stay longer.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How long the broker keeps what belongs to a tag, unless its submitter asked for less. */
export const RETENTION_MS = 30 * DAY_MS;
/** Several tags may use the same code. Where it was stored a while ago it still outlives a new tag. */
export const CODE_RETENTION_MS = 2 * RETENTION_MS;
/** Less is a slip, such as 30 for 30 days: a plain number counts seconds. */
export const LEAST_RETENTION_MS = MINUTE_MS;
/** So much longer the broker keeps a tag's manifest, so that whoever names the tag hears that it has expired. */
export const REMEMBERED_MS = 7 * DAY_MS;

/** A message that is to go at a time, in milliseconds since 1970; without one it goes with its stream's age. */
export interface Expiring {
  expiresMs?: number;
}

interface Lifetime {
  createdMs: number;
  notAfterMs: number;
}

/**
 * For what is stored of a tag by the thousands. A tag of the usual lifetime leaves it to the streams' age, since each
 * message with a time of its own costs the server some 45 bytes of memory more.
 */
export function expiryOf({ createdMs, notAfterMs }: Lifetime): Expiring {
  return notAfterMs - createdMs >= RETENTION_MS ? {} : { expiresMs: notAfterMs };
}

/** For closing, cancel and retry records. */
export function recordExpiry({ notAfterMs }: Lifetime): Expiring {
  return { expiresMs: notAfterMs };
}

export function manifestExpiry({ notAfterMs }: Lifetime): Expiring {
  return { expiresMs: notAfterMs + REMEMBERED_MS };
}

/** How long a message may stay from now on, as the header `Nats-TTL` says it; whole seconds are the least that the server knows. */
export function ttlOf({ expiresMs }: Expiring): string | undefined {
  if (expiresMs === undefined) return undefined;
  return `${Math.max(1, Math.ceil((expiresMs - Date.now()) / 1000))}s`;
}

/** The header that makes a message go. */
export function withExpiry(message: Expiring, messageHeaders?: MsgHdrs): MsgHdrs | undefined {
  const ttl = ttlOf(message);
  if (ttl === undefined) return messageHeaders;
  const expiring = messageHeaders ?? headers();
  expiring.set("Nats-TTL", ttl);
  return expiring;
}
