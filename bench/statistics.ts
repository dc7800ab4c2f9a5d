import { max, median, min, quantileSorted } from "simple-statistics";

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @param samples at least one */
export function summarise(samples: readonly number[]): Summary {
  const list = [...samples];
  return { median: median(list), least: min(list), most: max(list) };
}

/** The values below which 50, 95 and 99 % of the samples lie. */
export function percentiles(samples: readonly number[]): { p50: number; p95: number; p99: number } {
  const sorted = [...samples].sort((a, b) => a - b);
  const [p50 = 0, p95 = 0, p99 = 0] = [0.5, 0.95, 0.99].map((p) => quantileSorted(sorted, p));
  return { p50, p95, p99 };
}
