/** A large result whose parts were on their way when the broker went: the call runs again, and nothing passes for it. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { startEmbedded } from "../../core/instance/up.ts";
import { startInstance } from "../support/embedded.ts";
import { Gate } from "../support/gate.ts";
import { until } from "../support/until.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const large = task(async (url: string, bytes: number) => {
  await fetch(url);
  return new Uint8Array(bytes);
});

test.each([1, 2])("chunks of %i: parts without an answer", async (chunkSize) => {
  await using instance = await startInstance({ worker: false });
  await using gate = await Gate.start();
  await using worker = await WorkerProcess.start(instance.env, ["--datacenter", "local", "--slots", "1"]);
  for (let i = 0; i < chunkSize; i++) large(`${gate.url}/${i}`, 2 * 2 ** 20 + i);
  using tag = await large.submit({ chunkSize });
  for (let i = 0; i + 1 < chunkSize; i++) gate.open(i);
  await until(
    "the last call to run",
    () => gate.keys,
    (keys) => keys.includes(String(chunkSize - 1)),
  );
  const { server } = instance.embedded;
  process.kill(server.pid, "SIGSTOP");
  gate.open(chunkSize - 1);
  await delay(2_000);
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  const again = await startEmbedded({ worker: false });
  try {
    const { reasons } = await until(
      "its end",
      () => tag.explain(),
      ({ reasons: [reason] }) => reason?.code === "finished" || reason?.code === "no-outcome",
    );
    expect(reasons.map(({ code }) => code)).toEqual(["finished"]);
    expect(await tag.pull({ blocking: true })).toBe(0);
    expect([tag.nResults, tag.nErrors]).toEqual([chunkSize, 0]);
    await worker.stop();
  } finally {
    await again.stop();
  }
});
