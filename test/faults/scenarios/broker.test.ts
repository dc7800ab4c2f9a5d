/** A broker that is killed and started again. */
import { setTimeout as delay } from "node:timers/promises";
import { scenario } from "./trial.ts";

scenario("kill -9 of the broker under load, and a restart on the same data", async (trial, world) => {
  for (let i = 0; i < 2; i++) await world.startWorker();
  const load = await trial.submit({ calls: 600, mostMs: 100 });
  const pulling = await trial.beginPull(load);
  for (let kill = 0; kill < 2; kill++) {
    await delay(trial.random.whole(1_000, 4_000));
    await world.killBroker();
    await delay(trial.random.whole(0, 3_000));
    await world.startBroker();
    await trial.look(`after kill ${kill + 1}`);
  }
  await pulling.ended;
});
