/** What `npm run test:faults -- ...` can be told. */
import { parseArgs } from "node:util";
import { parseDuration } from "../../../core/duration.ts";
import { chooseSeed } from "../world/random.ts";

const DEFAULT_DURATION = "10m";

export interface StormOptions {
  seed: number;
  /** For how long faults happen; afterwards everything is brought to its end. */
  durationMs: number;
}

/** @throws UsageError where the duration is none */
export function readOptions(): StormOptions {
  const { values } = parseArgs({ options: { duration: { type: "string", default: DEFAULT_DURATION } } });
  return { seed: chooseSeed(), durationMs: parseDuration(values.duration, "--duration") };
}
