/** How many calls a worker runs at once, and how much memory they may take together. */
import { availableParallelism, totalmem } from "node:os";
import { UsageError } from "../../core/errors.ts";
import { formatMemory, parseMemory } from "../../core/memory.ts";
import { LEAST_MEMORY_BYTES } from "../../core/options.ts";
import type { TagOptions } from "../../core/trust/options.ts";

const MOST_SLOTS = 4096;

/**
 * @param slots the worker's option; default: the number of cores
 * @throws UsageError where it is no number of slots
 */
export function workerSlots(slots = availableParallelism()): number {
  if (Number.isInteger(slots) && slots >= 1 && slots <= MOST_SLOTS) return slots;
  throw new UsageError(`worker option slots: expected a whole number from 1 to ${MOST_SLOTS}, got ${slots}`);
}

/** Slurm gives sizes in MB of 2^20 bytes (sbatch(1), OUTPUT ENVIRONMENT VARIABLES); 0 is all of the machine's. */
function slurmBytes(env: NodeJS.ProcessEnv): number {
  const number = (name: string) => (/^\d{1,12}$/.test(env[name] ?? "") ? Number(env[name]) : 0);
  const megabytes = number("SLURM_MEM_PER_NODE") || number("SLURM_MEM_PER_CPU") * number("SLURM_CPUS_ON_NODE");
  return megabytes * 2 ** 20;
}

/**
 * What this machine has, or what is left of it for this process: by its cgroup (v1 or v2), or by the Slurm job that it
 * runs in.
 * @returns bytes
 */
export function machineMemoryBytes(env: NodeJS.ProcessEnv = process.env): number {
  // 0 or a number beyond every machine where there is no limit.
  const limits = [totalmem(), process.constrainedMemory(), slurmBytes(env)];
  return Math.floor(Math.min(...limits.filter((bytes) => bytes > 0)));
}

/**
 * @param memory the worker's option
 * @throws UsageError where it is no amount of memory, or less than any call that asks for memory asks for
 */
export function workerMemoryBytes(memory: number | string | undefined): number {
  if (memory === undefined) return machineMemoryBytes();
  const bytes = parseMemory(memory, "worker option memory");
  if (bytes >= LEAST_MEMORY_BYTES) return bytes;
  throw new UsageError(
    `worker option memory: expected at least ${formatMemory(LEAST_MEMORY_BYTES)}, the least that a call can ask for, got ${memory}; ` +
      "leave it out for all of the machine's",
  );
}

/** What a call needs and a worker does not have. */
export function lackOf(
  { cpus, memoryBytes }: Pick<TagOptions, "cpus" | "memoryBytes">,
  worker: { slots: number; memoryBytes: number },
): string {
  if (cpus > worker.slots) return `a call of it needs ${cpus} cpus, this worker has ${worker.slots} slots`;
  return `a call of it asks for ${formatMemory(memoryBytes)} of memory, this worker has ${formatMemory(worker.memoryBytes, memoryBytes)}`;
}
