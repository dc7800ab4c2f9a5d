/** What an account holds and hears, to see whether somebody else's attempts had an effect on it. */
import { createHash } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { StreamReader } from "../../core/broker/read.ts";

/** Every stream with its settings, counts, consumers and messages. */
export async function everythingIn(nc: NatsConnection): Promise<Record<string, unknown>> {
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  const reader = await StreamReader.open(nc);
  const found: Record<string, unknown> = {};
  for (const { config, state } of await manager.streams.list().next()) {
    const consumers = (await manager.consumers.list(config.name).next()).map((consumer) => ({
      config: consumer.config,
      delivered: consumer.delivered,
      ackFloor: consumer.ack_floor,
      pending: consumer.num_pending,
      ackPending: consumer.num_ack_pending,
      redelivered: consumer.num_redelivered,
      waiting: consumer.num_waiting,
      paused: consumer.paused === true,
    }));
    const messages: string[] = [];
    for await (const { seq, subject, data } of reader.all(config.name, ">")) {
      messages.push(`${seq} ${subject} ${createHash("sha256").update(data).digest("hex")}`);
    }
    found[config.name] = { config, state, consumers, messages };
  }
  return found;
}

/** Remembers each subject that passes through an account. */
export class Eavesdropper {
  readonly heard: string[] = [];
  readonly #nc: NatsConnection;
  readonly #stop: () => void;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    const subscription = nc.subscribe(">", {
      callback: (_error, message) => void this.heard.push(`${message.subject} ${message.string().slice(0, 80)}`),
    });
    this.#stop = () => subscription.unsubscribe();
  }

  /** When the broker knows of it. */
  ready(): Promise<void> {
    return this.#nc.flush();
  }

  /** All that was heard, once what is on the way has come. */
  async end(): Promise<string[]> {
    await this.#nc.flush();
    this.#stop();
    return this.heard;
  }
}
