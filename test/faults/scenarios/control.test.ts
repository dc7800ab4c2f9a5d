/** Pause, resume, cancel and retry while workers die: what was asked for is what the checker allows, no more. */
import { setTimeout as delay } from "node:timers/promises";
import { scenario } from "./trial.ts";

scenario("a tag is paused, cancelled in part and retried while workers are killed", async (trial, world) => {
  await world.startWorker();
  await world.startWorker();
  const { random } = trial;
  const load = await trial.submit({ calls: 300, mostMs: 60, mix: { throws: 20, exit: 2 } });
  const { tag } = load;
  await trial.beginsToRun(load);
  await world.run(["pause", tag]);
  await world.killWorker(random.pick(world.workers)!);
  const first = random.whole(0, 250);
  for (let index = first; index < first + 40; index++) load.cancelled.add(index);
  await world.run(["cancel", tag, `${first}-${first + 39}`]);
  await world.startWorker();
  await world.run(["resume", tag]);
  await trial.pull(load, "before");
  for (const index of load.calls.keys()) load.retried.set(index, 1);
  await trial.look("before the retry");
  await world.run(["retry", tag]);
  await delay(random.whole(0, 500));
  await world.killWorker(random.pick(world.workers)!);
  await trial.pull(load, "before");
});
