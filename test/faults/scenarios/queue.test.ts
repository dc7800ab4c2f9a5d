/** A broker that forgets or forges: calls acknowledged that nobody ran, a queue that is gone. */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { deleteQueue, forgeAcks } from "../world/forge.ts";
import { scenario } from "./trial.ts";

scenario("calls are acknowledged that nobody ran, and the queue is deleted", async (trial, world) => {
  const load = await trial.submit({ calls: 300, mostMs: 20 });
  expect(await forgeAcks(world.instance, load.tag, 40)).toBe(40);
  await world.startWorker();
  await trial.beginsToRun(load);
  const pulling = await trial.beginPull(load);
  await delay(trial.random.whole(0, 1_500));
  // With it the broker forgets who has which call: some run once more, as if their worker had vanished.
  world.injected.workers++;
  await deleteQueue(world.instance, load.tag);
  await pulling.ended;
});
