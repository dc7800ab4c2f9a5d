/** The worker's entry in the hub: who is there, with how much, doing what. It expires unless it is renewed. */
import { hostname } from "node:os";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { subjectOf } from "../core/broker/names.ts";
import type { WorkerEntry } from "../core/watch/workers.ts";

const RENEW_MS = 5_000;
/** A change of what a worker does is told after this at the latest. */
const LOOK_MS = 1_000;

export class Registry {
  readonly #timer: NodeJS.Timeout;
  readonly #leave: () => void;

  /** @param entry what is true now; nothing of it may name a user or a tag: all users of the instance read it */
  constructor(nc: NatsConnection, entry: () => Omit<WorkerEntry, "host" | "heardMs">) {
    const { datacenter, worker } = entry();
    const subject = subjectOf.worker(datacenter, worker);
    const host = hostname();
    let told = "";
    let toldMs = 0;
    const announce = () => {
      const now = JSON.stringify({ ...entry(), host });
      if (now === told && performance.now() - toldMs < RENEW_MS) return;
      nc.publish(subject, now);
      told = now;
      toldMs = performance.now();
    };
    announce();
    this.#timer = setInterval(announce, LOOK_MS);
    this.#leave = () => {
      if (nc.isClosed()) return;
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
