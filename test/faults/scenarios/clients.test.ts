/** Clients that are killed: while they submit, and while they pull. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { until } from "../../support/until.ts";
import type { World } from "../world/world.ts";
import { scenario } from "./trial.ts";

async function isClosed(world: World, tag: string): Promise<boolean> {
  const { stdout } = await world.run(["status", tag, "--json"]);
  return (JSON.parse(stdout) as { closed: boolean }).closed;
}

scenario("a client killed in mid-pull, again and again, into the same archive", async (trial, world) => {
  await world.startWorker();
  const load = await trial.submit({ calls: 1500, mostMs: 4 });
  for (let kill = 0; kill < 4; kill++) {
    const pulling = world.client(["pull", load.tag, trial.archiveOf(load), "--wait", "--json"]);
    await delay(trial.random.whole(300, 2_500));
    await world.killClient(pulling);
  }
  await trial.pull(load);
});

scenario("a client killed in mid-submit; what it left is deleted, or had been whole", async (trial, world) => {
  await world.startWorker();
  let whole = 0;
  for (let kill = 0; kill < 3; kill++) {
    const load = trial.plan({ calls: 5000, mostMs: 0 });
    const submitting = world.client(load.submit);
    await until(
      "a manifest",
      () => trial.findTag(load),
      (tag) => tag !== undefined,
    );
    await delay(trial.random.whole(0, 300));
    await world.killClient(submitting);
    if (await isClosed(world, load.tag!)) whole++;
    else {
      // Half of a tag does not run.
      await delay(1_000);
      expect(world.witness.runs.filter((run) => run.load === load.load)).toEqual([]);
      load.gone = true;
      await world.run(["delete", load.tag!, "--force"]);
    }
  }
  expect(whole).toBeLessThan(3);
});
