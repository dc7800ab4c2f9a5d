/**
 * Storing many messages in a row, each under a guard of its own, with one answer for all of them (docs/decisions/0013-speed.md).
 *
 * Every message carries an id and names that of the message before it (`Nats-Msg-Id`, `Nats-Expected-Last-Msg-Id`), and the
 * server stores it only where that one is the newest of the whole stream. Only the last one asks for an answer. Where it is
 * stored, all are, and nothing of anybody else's lies between them: whatever went wrong with one of them, its slot taken,
 * the stream full, a message lost on the way, and whoever else wrote meanwhile, refuses all that follow.
 */
import { randomBytes } from "node:crypto";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { ttlOf } from "./expiry.ts";
import { check, type Message, request } from "./publish.ts";

/** A message that goes in only where nothing is stored on a subject. */
export interface Guarded extends Message {
  /** May hold wildcards. */
  slot: string;
}

/**
 * nats.js wants no more of a message's headers than their bytes, and at once. To make an object of names and values for
 * each message costs several times what the rest of publishing does.
 */
const spelled = Object.assign(headers(), { bytes: new Uint8Array(), encode: () => spelled.bytes });

/** Of this process; ids of two must not meet. */
const prefix = randomBytes(9).toString("base64url");
let chains = 0;

/**
 * Stores messages of one stream in this order.
 * @throws ApiError or BrokerError where it is not certain that all are stored; any number of the first may be
 */
export async function publishChain(nc: NatsConnection, messages: readonly Guarded[]): Promise<void> {
  const last = messages.length - 1;
  const id = `${prefix}${(++chains).toString(36)}-`;
  let answer: Promise<Uint8Array> | undefined;
  for (let i = 0; i <= last; i++) {
    const message = messages[i]!;
    const { subject, slot, data } = message;
    const ttl = ttlOf(message);
    const text =
      `NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 0\r\nNats-Expected-Last-Subject-Sequence-Subject: ${slot}\r\n` +
      `Nats-Msg-Id: ${id}${i}\r\n${i === 0 ? "" : `Nats-Expected-Last-Msg-Id: ${id}${i - 1}\r\n`}` +
      `${ttl === undefined ? "" : `Nats-TTL: ${ttl}\r\n`}\r\n`;
    spelled.bytes = Buffer.from(text, "latin1");
    if (i < last) nc.publish(subject, data, { headers: spelled });
    else answer = request(nc, subject, data, spelled);
  }
  if (answer !== undefined) check("a row of messages", await answer);
}
