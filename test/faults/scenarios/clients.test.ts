/** Clients that are killed: while they submit, and while they pull. */
import { setTimeout as delay } from "node:timers/promises";
import { scenario } from "./trial.ts";

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
