import { join } from "node:path";
import type { Contender, Ready, Running, StartOptions } from "../contender.ts";
import type { Installing } from "./support/cache.ts";
import { contender } from "./support/contender.ts";
import { Driver } from "./support/driver.ts";
import { findPython, PYTHON_ENV, PYTHON_FOLDER, type Python } from "./support/python.ts";

type Protocol = "tcp" | "tls";

async function prepare(protocol: Protocol, installing: Installing): Promise<Ready> {
  const python = await findPython("dask", installing);
  return {
    version: `Dask distributed ${python.versionOf("distributed")}, Python ${python.version}`,
    traits: {
      isolation: "none, in the worker's process",
      durability: "none, in memory",
      encryption: protocol === "tls" ? "TLS between its processes; the scheduler reads everything" : "none",
      signatures: "none",
    },
    start: (options) => start(protocol, python, options),
  };
}

async function start(protocol: Protocol, python: Python, options: StartOptions): Promise<Running> {
  const { slots, folder, signal } = options;
  const env = { ...PYTHON_ENV, DASK_TEMPORARY_DIRECTORY: folder };
  const client = join(PYTHON_FOLDER, "dask_client.py");
  const driver = new Driver(python.path, [client, String(slots), protocol], { env, cwd: folder, signal });
  try {
    await driver.ask("ready", {});
  } catch (error) {
    await driver.stop();
    throw error;
  }
  return {
    run: (workload) => driver.ask("run", workload),
    latencies: (count, payloadBytes) => driver.ask("latencies", { count, payloadBytes }),
    stop: driver.stop,
  };
}

export const contenders: readonly Contender[] = [
  contender("Dask distributed", (installing) => prepare("tcp", installing)),
  contender("Dask distributed (TLS)", (installing) => prepare("tls", installing)),
];
