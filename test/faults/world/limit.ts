/** A share of the broker's disk that is too small. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { Instance } from "../../../core/instance/home.ts";
import { inside } from "./look.ts";

const STREAMS = { calls: "HUMQ_CALLS_", results: "KV_humq_results_" } as const;

/** Sets how many bytes a stream of the suite's submitter may hold. */
export function limitStream(instance: Instance, stream: keyof typeof STREAMS, bytes: number): Promise<void> {
  return inside(instance, async ({ nc, u }) => {
    await (await jetstreamManager(nc)).streams.update(`${STREAMS[stream]}${u}`, { max_bytes: bytes });
  });
}
