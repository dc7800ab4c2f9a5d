import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Contender, Ready, Run, Running, StartOptions } from "../contender.ts";
import type { Workload } from "../workload.ts";
import type { Installing } from "./support/cache.ts";
import { contender } from "./support/contender.ts";
import { Driver } from "./support/driver.ts";
import { installPackages } from "./support/node.ts";
import { findRedis, REDIS_DURABILITY, type Redis, startRedis } from "./support/redis.ts";

const FOLDER = join(import.meta.dirname, "bullmq");
/** Jobs a worker has under way at once where they do nothing: BullMQ's way of fetching ahead. */
const NO_OP_CONCURRENCY = 50;

type Way = "inside" | "sandboxed";

async function prepare(way: Way, installing: Installing): Promise<Ready> {
  const redis = await findRedis(installing);
  const folder = await installPackages("bullmq", FOLDER, installing);
  const { dependencies } = JSON.parse(await readFile(join(FOLDER, "package.json"), "utf8"));
  return {
    version: `BullMQ ${dependencies.bullmq}, Redis ${redis.version}, Node ${process.versions.node}`,
    traits: {
      isolation: way === "inside" ? "none, in the worker's process" : "a child process, not confined",
      durability: REDIS_DURABILITY,
      encryption: "none",
      signatures: "none",
    },
    start: (options) => start(way, folder, redis, options),
  };
}

async function start(
  way: Way,
  installed: string,
  redis: Redis,
  { slots, folder, signal }: StartOptions,
): Promise<Running> {
  const server = await startRedis(redis, { folder, signal });
  const node = (script: string, ...more: string[]) =>
    new Driver(process.execPath, [join(FOLDER, script), installed, server.socket, ...more], { signal });
  const client = node("client-main.ts");
  // JavaScript computes on one thread: a worker process a slot, or one whose sandboxes are processes of their own.
  const workers =
    way === "inside"
      ? Array.from({ length: slots }, () => node("worker-main.ts", way, "1"))
      : [node("worker-main.ts", way, String(slots))];
  const stop = async () => {
    await Promise.all([client, ...workers].map((each) => each.stop()));
    await server.stop();
  };
  try {
    await Promise.all([client, ...workers].map((each) => each.ask("ready", {})));
  } catch (error) {
    await stop();
    throw error;
  }
  const concurrency = async (each: number) => {
    if (way === "inside") await Promise.all(workers.map((worker) => worker.ask("concurrency", each)));
  };
  return {
    async run(workload: Workload): Promise<Run> {
      await concurrency(workload.work === "nothing" ? NO_OP_CONCURRENCY : 1);
      return await client.ask("run", workload);
    },
    async latencies(count, payloadBytes) {
      return await client.ask("latencies", { count, payloadBytes });
    },
    stop,
  };
}

export const contenders: readonly Contender[] = [
  contender("BullMQ", (installing) => prepare("inside", installing)),
  contender("BullMQ (sandboxed processors)", (installing) => prepare("sandboxed", installing)),
];
