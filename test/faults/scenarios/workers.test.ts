/** Workers that vanish, stand still, or are told to leave; executors that are killed. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { slowestRecovery } from "../world/recovery.ts";
import { scenario } from "./trial.ts";

/** Calls of a worker that vanished run elsewhere within this. */
const RECOVERY_MS = 15_000;

const deaths: { worker: string; atMs: number }[] = [];

scenario(
  "kill -9 of workers under load",
  async (trial, world) => {
    deaths.splice(0);
    await world.startWorker();
    await world.startWorker();
    const load = await trial.submit({ calls: 600, mostMs: 200 });
    for (let kill = 0; kill < 2; kill++) {
      await delay(trial.random.whole(1_000, 4_000));
      const victim = trial.random.pick(world.workers)!;
      deaths.push({ worker: victim.label, atMs: Date.now() });
      await world.killWorker(victim);
      await world.startWorker();
    }
    await trial.look("after the kills");
    await trial.pull(load);
  },
  ({ runs }) => expect(slowestRecovery(runs, deaths)).toBeLessThanOrEqual(RECOVERY_MS),
);
