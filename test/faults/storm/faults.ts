/** The faults of a storm, one after the other. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../world/random.ts";
import type { Death, Outage } from "../world/recovery.ts";
import type { World } from "../world/world.ts";

/** How often each happens. */
const WEIGHTS = {
  "worker killed": 5,
  "worker told to leave": 2,
  "worker frozen": 2,
  "executor killed": 4,
  "broker killed": 2,
  "network refuses": 1,
  "network silent": 1,
} as const;
export type Fault = keyof typeof WEIGHTS;

const WORKERS = 3;
const LEASE_MS = 12_000;

export class Faults {
  readonly #world: World;
  readonly #random: Random;
  readonly deaths: Death[] = [];
  readonly counts = new Map<Fault, number>();
  /** Outages of the broker or the network, in which nothing can recover. */
  readonly outages: Outage[] = [];
  #thawing: Promise<void>[] = [];

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async #restock(): Promise<void> {
    this.#world.checkWorkers();
    while (this.#world.workers.length < WORKERS) await this.#world.startWorker();
  }

  async run(isOver: () => boolean, onFault: (fault: Fault) => void): Promise<void> {
    await this.#restock();
    while (!isOver()) {
      const fault = this.#random.weighted(WEIGHTS);
      const own = this.#random.fork();
      await delay(own.whole(1_000, 8_000));
      this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
      onFault(fault);
      await this.#inflict(fault, own);
      await this.#restock();
    }
    await Promise.all(this.#thawing);
  }

  async #inflict(fault: Fault, random: Random): Promise<void> {
    const world = this.#world;
    const awake = world.workers.filter(({ isFrozen }) => !isFrozen);
    const victim = random.pick(awake);
    switch (fault) {
      case "worker killed": {
        if (victim === undefined) return;
        this.deaths.push({ worker: victim.label, atMs: Date.now() });
        await world.killWorker(victim);
        return;
      }
      case "worker told to leave":
        if (victim !== undefined) await world.terminateWorker(victim);
        return;
      case "worker frozen": {
        // Somebody has to be there to take over.
        if (victim === undefined || awake.length === 1) return;
        world.freeze(victim);
        const frozenMs = LEASE_MS + random.whole(1_000, 15_000);
        this.#thawing.push(delay(frozenMs).then(() => victim.thaw()));
        return;
      }
      case "executor killed":
        if (victim !== undefined) world.killExecutor(victim, random);
        return;
      case "broker killed":
        return this.#outage(
          () => world.killBroker(),
          random.whole(0, 4_000),
          () => world.startBroker(),
        );
      case "network refuses":
      case "network silent":
        return this.#outage(
          async () => world.cut(fault === "network silent" ? "silent" : "refuses"),
          random.whole(1_000, 25_000),
          async () => world.proxy.mend(),
        );
      default: {
        const never: never = fault;
        throw new Error(`unknown fault ${never}`);
      }
    }
  }

  async #outage(begin: () => Promise<void>, ms: number, end: () => Promise<void>): Promise<void> {
    const fromMs = Date.now();
    await begin();
    await delay(ms);
    await end();
    this.outages.push({ fromMs, toMs: Date.now() });
  }
}
