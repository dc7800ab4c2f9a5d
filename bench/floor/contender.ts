import { join } from "node:path";
import { findNatsServer } from "../../core/instance/server/index.ts";
import { Cleanup } from "../cleanup.ts";
import type { Contender, Ready, Run, Running, StartOptions } from "../contender.ts";
import { Child } from "../humq/child.ts";
import type { Workload } from "../workload.ts";
import type { FloorClient } from "./client-main.ts";
import { startFloorServer } from "./server.ts";
import type { FloorWorker } from "./worker-main.ts";

class Floor implements Running {
  readonly #client: Child<FloorClient>;
  readonly #workers: readonly Child<FloorWorker>[];
  readonly #cleanup: Cleanup;
  #runs = 0;

  constructor(url: string, slots: number, cleanup: Cleanup) {
    const options = { env: process.env, args: [url], cleanup };
    this.#cleanup = cleanup;
    this.#client = new Child<FloorClient>(join(import.meta.dirname, "client-main.ts"), options);
    this.#workers = Array.from(
      { length: slots },
      () => new Child(join(import.meta.dirname, "worker-main.ts"), options),
    );
  }

  async run(workload: Workload): Promise<Run> {
    const run = `run-${++this.#runs}`;
    await this.#client.ask("makeQueue", run);
    await Promise.all(this.#workers.map((worker) => worker.ask("begin", run, workload)));
    const found = await this.#client.ask("whole", run, workload);
    await Promise.all(this.#workers.map((worker) => worker.ask("end")));
    return found;
  }

  stop(): Promise<void> {
    return this.#cleanup.run();
  }
}

async function start({ folder, slots }: StartOptions): Promise<Running> {
  const cleanup = new Cleanup();
  try {
    const { url } = await startFloorServer(folder, cleanup);
    return new Floor(url, slots, cleanup);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** The floor: what is left when humq is taken away. Nothing on this server can be faster in JavaScript. */
export const contenders: readonly Contender[] = [
  {
    name: "nats.js alone",
    async prepare(): Promise<Ready> {
      const { version } = await findNatsServer();
      return {
        version: `nats-server ${version}`,
        traits: {
          isolation: "none, in the worker's process",
          durability: "file, fsync each second",
          encryption: "none",
          signatures: "none",
        },
        start,
      };
    },
  },
];
