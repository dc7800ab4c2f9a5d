import { VERSION } from "../../core/version.ts";
import { detectIsolation } from "../../worker/index.ts";
import { Cleanup } from "../cleanup.ts";
import type { Contender, Ready, Running, StartOptions } from "../contender.ts";
import type { ChunkSize } from "./client-main.ts";
import { Site } from "./site.ts";

async function start({ slots, folder, signal }: StartOptions, chunkSize: ChunkSize): Promise<Running> {
  const cleanup = new Cleanup();
  try {
    const site = await Site.start({ folder, signal, cleanup });
    const client = site.client();
    await site.worker(slots);
    return {
      run: (workload) => client.ask("whole", workload, chunkSize),
      latencies: (count, payloadBytes) => client.ask("latencies", count, payloadBytes),
      stop: () => cleanup.run(),
    };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

function contender(name: string, chunkSize: ChunkSize): Contender {
  return {
    name,
    async prepare(): Promise<Ready> {
      const { isolation } = await detectIsolation();
      return {
        version: `humq ${VERSION}`,
        traits: {
          isolation: isolation === "bubblewrap" ? "a sandbox (bubblewrap)" : "a process of its own",
          durability: "file, fsync each second",
          encryption: "end to end",
          signatures: "every call",
        },
        start: (options) => start(options, chunkSize),
      };
    },
  };
}

/** humq as users have it, with encryption and isolation on. */
export const contenders: readonly Contender[] = [contender("humq", 1), contender("humq, chunkSize auto", "auto")];
