/** A worker whose grant runs out is shut out by the broker: it ends and says so, instead of staying idle. */
import { expect, test } from "vitest";
import { Worker } from "../../worker/index.ts";
import { Lab } from "../support/lab.ts";

test("a worker that the broker shuts out ends with the reason", async () => {
  await using lab = await Lab.start();
  const { instance } = await lab.join("short", { role: "worker", datacenters: ["short"], expiresInMs: 8_000 });
  process.env.HUMQ_HOME = instance.folder.replace(/\/instances\/.*$/, "");
  const worker = await Worker.start({ instance: "lab", datacenter: "short", slots: 1 });
  await expect(worker.finished).rejects.toThrow(/does not let this worker in any more.*Has its grant expired\?/);
  await worker.stop();
});
