import type { Section } from "./section.ts";
import { floor } from "./sections/floor.ts";
import { latency } from "./sections/latency.ts";
import { memory } from "./sections/memory.ts";
import { shares } from "./sections/shares.ts";
import { sideBySide } from "./sections/side-by-side.ts";
import { throughput } from "./sections/throughput.ts";
import { volume } from "./sections/volume.ts";

/** All sections, in the order in which they run and are printed. A new one needs its line here and nothing else. */
export const SECTIONS: readonly Section[] = [throughput, latency, volume, shares, memory, floor, sideBySide];
