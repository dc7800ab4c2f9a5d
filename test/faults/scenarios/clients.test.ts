/** Clients that are killed: while they submit, and while they pull. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Running } from "../../support/processes.ts";
import { hearTag } from "../world/look.ts";
import type { World } from "../world/world.ts";
import { scenario } from "./trial.ts";

async function isClosed(world: World, tag: string): Promise<boolean> {
  const { stdout } = await world.run(["status", tag, "--json"]);
  return (JSON.parse(stdout) as { closed: boolean }).closed;
}

scenario("a client killed in mid-pull, again and again, into the same archive", async (trial, world) => {
  await world.startWorker();
  const load = await trial.submit({ calls: 600, mostMs: 20 });
  for (let kill = 0; kill < 4; kill++) {
    const pulling = world.client(["pull", load.tag, trial.archiveOf(load), "--wait", "--json"]);
    await delay(trial.random.whole(300, 2_500));
    await world.killClient(pulling);
  }
  await trial.pull(load);
});

scenario("a client killed in mid-submit; what it left is finished, or deleted", async (trial, world) => {
  await world.startWorker();
  for (const what of ["finish", "delete"]) {
    for (let isHalf = false; !isHalf; ) {
      const load = trial.plan({ calls: 400, mostMs: 0, padding: 50_000 });
      const submitting = Promise.withResolvers<Running>();
      load.tag = await hearTag(world.instance, load.load, () => submitting.resolve(world.client(load.submit)));
      await delay(trial.random.whole(0, 50));
      await world.killClient(await submitting.promise);
      isHalf = !(await isClosed(world, load.tag));
      // Too late: another one.
      if (!isHalf) continue;
      // Half of a tag does not run.
      await delay(1_000);
      expect(world.witness.runs.filter((run) => run.load === load.load)).toEqual([]);
      if (what === "finish") await world.run([...load.submit, "--resume", load.tag]);
      else {
        load.gone = true;
        await world.run(["delete", load.tag, "--force"]);
      }
    }
  }
});
