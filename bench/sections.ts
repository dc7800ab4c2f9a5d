import type { Section } from "./section.ts";
import { latency } from "./sections/latency.ts";
import { memory } from "./sections/memory.ts";
import { shares } from "./sections/shares.ts";
import { throughput } from "./sections/throughput.ts";

/** All sections, in the order in which they run and are printed. A new one needs its line here and nothing else. */
export const SECTIONS: readonly Section[] = [throughput, latency, shares, memory];
