/** Calls that crash, hang or fill the memory: each ends with its own cause, and the worker goes on with the others. */
import { expect } from "vitest";
import { scenario } from "./trial.ts";

scenario("calls that crash their process, hang, or fill the memory, and calls beside them", async (trial, world) => {
  const worker = await world.startWorker();
  const crashing = await trial.submit({
    calls: 60,
    mostMs: 20,
    first: ["throws", "exit", "segfault", "stack", "spin"],
    mix: { throws: 6, exit: 6, segfault: 6, stack: 6, spin: 4 },
    options: ["--time-limit", "2s"],
  });
  const filling = await trial.submit({ calls: 10, mostMs: 20, first: ["ok", "memory"] });
  await trial.pull(crashing);
  await trial.pull(filling);
  expect(worker.isRunning, worker.said).toBe(true);
});
