import { join } from "node:path";
import type { Contender, Ready, Running, StartOptions } from "../contender.ts";
import type { Installing } from "./support/cache.ts";
import { contender } from "./support/contender.ts";
import { Driver } from "./support/driver.ts";
import { startProcess } from "./support/process.ts";
import { findPython, PYTHON_ENV, PYTHON_FOLDER, type Python } from "./support/python.ts";
import { findRedis, REDIS_DURABILITY, type Redis, startRedis } from "./support/redis.ts";

async function prepare(installing: Installing): Promise<Ready> {
  const redis = await findRedis(installing);
  const python = await findPython("celery", installing);
  return {
    version: `Celery ${python.versionOf("celery")}, Redis ${redis.version}, Python ${python.version}`,
    traits: {
      isolation: "a pool of forked processes, not confined",
      durability: `${REDIS_DURABILITY}; calls are acknowledged before they run`,
      encryption: "none",
      signatures: "none",
    },
    start: (options) => start(redis, python, options),
  };
}

async function start(redis: Redis, python: Python, { slots, folder, signal }: StartOptions): Promise<Running> {
  const server = await startRedis(redis, { folder, signal });
  const env = { ...PYTHON_ENV, PYTHONPATH: PYTHON_FOLDER, BENCH_REDIS: server.socket };
  // Without the chatter between workers, which its documentation lets one switch off.
  const quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"];
  const pool = ["--pool", "prefork", "--concurrency", String(slots), "-O", "fair"];
  const worker = startProcess(
    python.path,
    ["-m", "celery", "--quiet", "-A", "celery_app", "worker", ...pool, ...quiet],
    {
      env: { ...env, C_FORCE_ROOT: "1" },
      cwd: folder,
      signal,
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const driver = new Driver(python.path, [join(PYTHON_FOLDER, "celery_client.py")], { env, cwd: folder, signal });
  const stop = async () => {
    await Promise.all([driver.stop(), worker.stop()]);
    await server.stop();
  };
  const died = worker.ended.then((how) => {
    throw new Error(`Celery's worker ended with ${how}`);
  });
  died.catch(() => undefined);
  try {
    await Promise.race([driver.ask("ready", {}), died]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    run: (workload) => Promise.race([driver.ask("run", workload), died]),
    latencies: (count, payloadBytes) => Promise.race([driver.ask("latencies", { count, payloadBytes }), died]),
    stop,
  };
}

export const contenders: readonly Contender[] = [contender("Celery", prepare)];
