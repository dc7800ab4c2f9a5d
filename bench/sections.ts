import type { Section } from "./section.ts";
import { throughput } from "./sections/throughput.ts";

/** All sections, in the order in which they run and are printed. A new one needs its line here and nothing else. */
export const SECTIONS: readonly Section[] = [throughput];
