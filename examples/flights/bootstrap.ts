/** The statistics of the analysis: a local module, which travels with the task by itself. */
import { mean, quantileSorted } from "simple-statistics";

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** A small generator of random numbers in [0, 1), so that a run can be repeated (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The mean of a sample with its 95 % confidence interval, by resampling it `resamples` times. */
export function bootstrap(sample: Float64Array, resamples: number, seed: number): Interval {
  const random = randomFrom(seed);
  const means = new Float64Array(resamples);
  for (let round = 0; round < resamples; round++) {
    let sum = 0;
    for (let i = 0; i < sample.length; i++) sum += sample[Math.floor(random() * sample.length)]!;
    means[round] = sum / sample.length;
  }
  means.sort();
  const sorted = Array.from(means);
  return { mean: mean(Array.from(sample)), low: quantileSorted(sorted, 0.025), high: quantileSorted(sorted, 0.975) };
}
