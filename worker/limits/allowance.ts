/**
 * What a call may take of its machine besides time and memory (which its submitter limits): set by whoever runs the worker,
 * so that no call can take the machine down.
 */
import { statfsSync } from "node:fs";
import { UsageError } from "../../core/errors.ts";
import { formatMemory, parseMemory } from "../../core/memory.ts";

export interface AllowanceOptions {
  /** Processes and threads that a call may have at a time. Default 1024. */
  maxProcesses?: number;
  /**
   * What the files of a call may take together: bytes, or text such as `20GB`. Default 10 GB, less where that is more than the
   * slot's share of half of what is free.
   */
  maxDisk?: number | string;
  /** What a call may print (1 MiB of it is kept): bytes, or text. Default 1 GB. */
  maxOutput?: number | string;
  /** Files that each process of a call may have open. Default 4096. */
  maxOpenFiles?: number;
}

export interface Allowance {
  processes: number;
  diskBytes: number;
  outputBytes: number;
  openFiles: number;
}

const PROCESSES = 1024;
const OUTPUT_BYTES = 10 ** 9;
const OPEN_FILES = 4096;
const DISK_BYTES = 10 ** 10;
/** Where next to nothing is free, a call still gets this. */
const LEAST_DEFAULT_DISK_BYTES = 256 * 10 ** 6;

/** Below these no call could run: an executor has a dozen threads and some thirty open files of its own. */
const LEAST_COUNT = 64;
const LEAST_BYTES = 2 ** 20;
const MOST_COUNT = 2 ** 22;

function count(name: "maxProcesses" | "maxOpenFiles", given: number | undefined, standard: number): number {
  if (given === undefined) return standard;
  if (Number.isInteger(given) && given >= LEAST_COUNT && given <= MOST_COUNT) return given;
  throw new UsageError(
    `worker option ${name}: expected a whole number from ${LEAST_COUNT} to ${MOST_COUNT}, got ${given}`,
  );
}

function size(name: "maxDisk" | "maxOutput", given: number | string): number {
  const bytes = parseMemory(given, `worker option ${name}`);
  if (bytes >= LEAST_BYTES) return bytes;
  throw new UsageError(`worker option ${name}: expected at least ${formatMemory(LEAST_BYTES)}, got ${given}`);
}

/** All slots together leave half of what is free to others. */
function standardDiskBytes(folder: string, slots: number): number {
  const { bavail, bsize } = statfsSync(folder);
  const share = Math.floor((bavail * bsize) / 2 / slots);
  return Math.max(LEAST_DEFAULT_DISK_BYTES, Math.min(DISK_BYTES, share));
}

/**
 * @param folder where the folders of calls will be, or one above
 * @throws UsageError where an option is out of its bounds
 */
export function allowanceOf(options: AllowanceOptions, folder: string, slots: number): Allowance {
  return {
    processes: count("maxProcesses", options.maxProcesses, PROCESSES),
    diskBytes: options.maxDisk === undefined ? standardDiskBytes(folder, slots) : size("maxDisk", options.maxDisk),
    outputBytes: options.maxOutput === undefined ? OUTPUT_BYTES : size("maxOutput", options.maxOutput),
    openFiles: count("maxOpenFiles", options.maxOpenFiles, OPEN_FILES),
  };
}
