/** A broker that has no room: its disk is full, or the share of the submitter. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { until } from "../../support/until.ts";
import { limitStream } from "../world/limit.ts";
import type { PlannedLoad, Trial } from "../world/trial.ts";
import { scenario } from "./trial.ts";

const MIB = 2 ** 20;

/** A submit that meets a full disk must say so; what it left is deleted. */
async function failsToSubmit(trial: Trial, load: PlannedLoad, reason: RegExp): Promise<void> {
  const { code, stderr } = await trial.world.client(load.submit).finished;
  expect(stderr).toMatch(reason);
  expect(code).toBe(1);
}

async function deleteHalf(trial: Trial, load: PlannedLoad): Promise<void> {
  load.gone = true;
  const tag = await trial.findTag(load);
  if (tag !== undefined) await trial.world.run(["delete", tag, "--force"]);
}

scenario("the disk of the broker is full, while results are stored and while calls are sent", async (trial, world) => {
  const disk = await world.useSmallDisk(128 * MIB);
  if (disk === undefined) {
    process.stderr.write("\n!!! SKIPPED: a full disk: this account may not mount a small one\n\n");
    return;
  }
  const worker = await world.startWorker();
  // More than ends before the disk is full.
  const load = await trial.submit({ calls: 600, mostMs: 60, bytes: 20_000 });
  await trial.beginsToRun(load);
  disk.fill(MIB);
  await until(
    "the worker to complain",
    () => worker.said,
    (said) => /could not store .*, trying again/.test(said),
  );
  const late = trial.plan({ calls: 2000 });
  await failsToSubmit(trial, late, /disk of the broker is full|its disk (?:is )?full/);
  await trial.look("while the disk is full");
  disk.free();
  await world.restartBroker();
  await trial.pull(load);
  await deleteHalf(trial, late);
  await trial.pull(await trial.submit({ calls: 100 }));
});

scenario("the share of the submitter is full while calls are sent", async (trial, world) => {
  await world.startWorker();
  await limitStream(world.instance, "calls", MIB / 4);
  const load = trial.plan({ calls: 2000, mostMs: 0 });
  await failsToSubmit(trial, load, /maximum bytes exceeded .*your share of the broker's disk is full/);
  await deleteHalf(trial, load);
  await trial.pull(await trial.submit({ calls: 100 }));
});

scenario("the share of the submitter is full while results are stored", async (trial, world) => {
  const worker = await world.startWorker();
  await limitStream(world.instance, "results", MIB);
  const load = await trial.submit({ calls: 150, mostMs: 10, bytes: 20_000 });
  await until(
    "the worker to complain",
    () => worker.said,
    (said) => /could not store .*maximum bytes exceeded/.test(said),
  );
  await trial.look("while it is full");
  await delay(trial.random.whole(0, 3000));
  await limitStream(world.instance, "results", 64 * MIB);
  await trial.pull(load);
});
