/** Users in a storm: they submit, pull, pause, cancel and retry, and some of their commands are killed. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../world/random.ts";
import type { Outage } from "../world/recovery.ts";
import type { LoadOptions, PlannedLoad, Trial } from "../world/trial.ts";
import type { Clients } from "./clients.ts";

const MIX = { throws: 2, exit: 1, segfault: 1, stack: 1 };
/** Loads that are in work at the same time. */
const LOADS_AT_ONCE = 4;

function drawLoad(random: Random): LoadOptions {
  const options: string[] = [];
  if (random.next() < 0.2) options.push("--chunk-size", String(random.whole(2, 20)));
  if (random.next() < 0.2) options.push("--concurrency", String(random.whole(1, 8)));
  if (random.next() < 0.3) options.push("--priority", String(random.whole(-5, 5)));
  const large = random.next() < 0.2;
  return {
    calls: random.whole(20, large ? 60 : 400),
    mix: MIX,
    mostMs: random.pick([0, 20, 100, 400])!,
    attempts: random.pick([1, 1, 3])!,
    ...(large && { bytes: random.pick([1_000, 50_000, 600_000])! }),
    options,
  };
}

export class Users {
  readonly #trial: Trial;
  readonly #clients: Clients;
  readonly #isOver: () => boolean;
  /** Times in which a load was not to run. */
  readonly pauses: Outage[] = [];

  /** @param isOver whether no more is to be begun */
  constructor(trial: Trial, clients: Clients, isOver: () => boolean) {
    this.#trial = trial;
    this.#clients = clients;
    this.#isOver = isOver;
  }

  /** Load after load, several side by side, until it is over. */
  async run(random: Random): Promise<void> {
    const one = async (own: Random) => {
      while (!this.#isOver()) await this.#load(own.fork());
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE }, () => one(random.fork())));
  }

  async #load(random: Random): Promise<void> {
    const load = this.#trial.plan(drawLoad(random));
    const tag = await this.#submit(load, random);
    if (tag === undefined) return;
    const done = new AbortController();
    const control = this.#control(load, tag, random.fork(), done.signal);
    await this.#pull(load, random);
    done.abort();
    await control;
    if (random.next() < 0.3) await this.#retry(load, tag);
    await this.#trial.pull(load, "pulled", (args) => this.#clients.insist(args));
  }

  /** @returns the tag's name; undefined where nothing came of it */
  async #submit(load: PlannedLoad, random: Random): Promise<string | undefined> {
    const client = this.#trial.world.client(load.submit);
    const mayDie = random.next() < 0.25;
    const afterMs = random.whole(300, 1_500);
    if (mayDie) await this.#clients.killAfter(client, afterMs);
    const { code, stdout } = await client.finished;
    if (code === 0) return Object.assign(load, { tag: stdout.trim() }).tag;
    // Killed, or cut off: nobody knows how far it came but the broker.
    return this.#mendSubmit(load, random);
  }

  /** What a submit left that did not end: a whole tag, half of one, or nothing. Half of one is finished or deleted. */
  async #mendSubmit(load: PlannedLoad, random: Random): Promise<string | undefined> {
    const tag = await this.#trial.persist(() => this.#trial.findTag(load));
    if (tag === undefined) {
      load.gone = true;
      return undefined;
    }
    const status = JSON.parse(await this.#clients.insist(["status", tag, "--json"])) as { closed: boolean };
    if (status.closed) return tag;
    if (random.next() < 0.6) {
      await this.#clients.insist([...load.submit, "--resume", tag]);
      return tag;
    }
    load.gone = true;
    await this.#clients.insist(["delete", tag, "--force"]);
    return undefined;
  }

  /** Pulls until nothing is open; some pulls are killed and begun again. */
  async #pull(load: PlannedLoad, random: Random): Promise<void> {
    const path = this.#trial.archiveOf(load);
    const args = ["pull", load.tag!, path, "--wait", "--json"];
    while (random.next() < 0.4) {
      const client = this.#trial.world.client(args);
      if (!(await this.#clients.killAfter(client, random.whole(200, 5_000)))) break;
    }
    await this.#clients.insist(args);
  }

  /** Pauses and cancels now and then, while the load runs. */
  async #control(load: PlannedLoad, tag: string, random: Random, done: AbortSignal): Promise<void> {
    while (!done.aborted) {
      const wait = delay(random.whole(2_000, 15_000), undefined, { signal: done }).catch(() => undefined);
      const what = random.weighted({ pause: 2, cancel: 1, nothing: 3 });
      const first = random.whole(0, load.calls.length - 1);
      const last = Math.min(load.calls.length - 1, first + random.whole(0, 10));
      const pausedMs = random.whole(500, 5_000);
      await wait;
      if (done.aborted) return;
      if (what === "pause") {
        const fromMs = Date.now();
        await this.#clients.insist(["pause", tag]);
        await delay(pausedMs);
        await this.#clients.insist(["resume", tag]);
        this.pauses.push({ fromMs, toMs: Date.now(), load: load.load });
      } else if (what === "cancel") {
        for (let index = first; index <= last; index++) load.cancelled.add(index);
        await this.#clients.insist(["cancel", tag, `${first}-${last}`, "--reason", "storm"]);
      }
    }
  }

  /** Calls that did not succeed run once more; each time that the command is begun may be the one that does it. */
  async #retry(load: PlannedLoad, tag: string): Promise<void> {
    const count = () => {
      for (const index of load.calls.keys()) load.retried.set(index, (load.retried.get(index) ?? 0) + 1);
    };
    count();
    await this.#clients.insist(["retry", tag], count);
  }
}
