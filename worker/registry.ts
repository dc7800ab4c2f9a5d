/** The worker's entry in the hub: who is there, with how much, doing what. It expires unless it is renewed. */
import { hostname } from "node:os";
import { headers, type NatsConnection } from "@nats-io/transport-node";
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
  readonly #leave: () => void;

  constructor(nc: NatsConnection, entry: () => Omit<WorkerEntry, "host">) {
    const { datacenter, worker } = entry();
    const subject = subjectOf.worker(datacenter, worker);
    const announce = () => nc.publish(subject, JSON.stringify({ ...entry(), host: hostname() }));
    announce();
    this.#timer = setInterval(announce, RENEW_MS);
    this.#leave = () => {
      // How a KV bucket spells that a key was deleted (ADR-8).
      const deleted = headers();
      deleted.set("KV-Operation", "DEL");
      nc.publish(subject, "", { headers: deleted });
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#leave();
  }
}
