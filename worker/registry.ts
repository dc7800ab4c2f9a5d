/** The worker's entry in the hub: who is there, with how much, doing what. It expires unless it is renewed. */
import { hostname } from "node:os";
import type { NatsConnection } from "@nats-io/transport-node";
import { subjectOf } from "../core/broker/names.ts";

const RENEW_MS = 15_000;

/** What a heartbeat says; readable by the broker's operator and by all users of the instance. */
export interface WorkerEntry {
  worker: string;
  datacenter: string;
  host: string;
  slots: number;
  /** Messages in hand. */
  held: number;
  isolation: string;
  version: string;
  /** Milliseconds since 1970. */
  startedMs: number;
}

export class Registry {
  readonly #timer: NodeJS.Timeout;
  readonly #announce: () => void;

  constructor(nc: NatsConnection, entry: () => Omit<WorkerEntry, "host">) {
    this.#announce = () => {
      const current = entry();
      const subject = subjectOf.worker(current.datacenter, current.worker);
      nc.publish(subject, JSON.stringify({ ...current, host: hostname() }));
    };
    this.#announce();
    this.#timer = setInterval(this.#announce, RENEW_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
