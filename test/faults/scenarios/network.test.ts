/** A network that is away for a while, for workers and clients alike. */
import { setTimeout as delay } from "node:timers/promises";
import { seconds } from "../world/long.ts";
import { scenario } from "./trial.ts";

for (const outage of ["refuses", "silent"] as const) {
  scenario(
    `a network that is away for a while and ${outage === "silent" ? "says nothing" : outage}`,
    async (trial, world) => {
      for (let i = 0; i < 2; i++) await world.startWorker();
      const load = await trial.submit({ calls: 400, mostMs: 100 });
      const pulling = await trial.beginPull(load);
      await delay(trial.random.whole(1_000, 3_000));
      await trial.look("before the cut");
      world.cut(outage);
      await delay(seconds(15, 120));
      world.proxy.mend();
      await pulling.ended;
    },
  );
}
