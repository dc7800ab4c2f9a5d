/** Workers that vanish, stand still, or are told to leave; executors that are killed. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { recoveries } from "../world/recovery.ts";
import { scenario } from "./trial.ts";

/** Calls of a worker that vanished run elsewhere within this. */
const RECOVERY_MS = 15_000;

/** A worker that says nothing for this long has lost its calls. */
const LEASE_MS = 12_000;

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
  ({ runs }) => expect(recoveries(runs, deaths)[0]?.tookMs ?? 0).toBeLessThanOrEqual(RECOVERY_MS),
);

scenario("SIGTERM of workers under load", async (trial, world) => {
  await world.startWorker();
  const load = await trial.submit({ calls: 400, mostMs: 100 });
  for (let stop = 0; stop < 2; stop++) {
    await delay(trial.random.whole(500, 3_000));
    const next = world.startWorker();
    const { code } = await world.terminateWorker(world.workers[0]!);
    expect(code).toBe(0);
    await next;
  }
  const { outcomes } = await trial.pull(load);
  // Leaving in order is no loss, and costs no attempt.
  expect(outcomes.filter(({ losses }) => losses > 0)).toEqual([]);
});

scenario("SIGSTOP for longer than the lease, then SIGCONT", async (trial, world) => {
  await world.startWorker();
  const load = await trial.submit({ calls: 500, mostMs: 100 });
  await trial.beginsToRun(load);
  const [zombie] = world.workers;
  world.freeze(zombie!);
  await world.startWorker();
  await delay(LEASE_MS + trial.random.whole(2_000, 6_000));
  await trial.look("while it stands still");
  zombie!.thaw();
  await trial.pull(load);
  // What it stores late finds its place taken.
  await delay(2_000);
  expect(zombie!.isRunning, zombie!.said).toBe(true);
});

scenario("kill -9 of executors under load", async (trial, world) => {
  await world.startWorker();
  const load = await trial.submit({ calls: 200, mostMs: 100 });
  await trial.beginsToRun(load);
  for (let kill = 0; kill < 4; kill++) {
    await delay(trial.random.whole(200, 1_000));
    world.killExecutor(world.workers[0]!, trial.random);
  }
  await trial.pull(load);
  expect(world.workers[0]!.isRunning, world.workers[0]!.said).toBe(true);
});
