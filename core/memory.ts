import { UsageError } from "./errors.ts";
import { shown } from "./shown.ts";

/** The largest amount that is taken, 1 PB. More is a slip. */
export const MAX_MEMORY_BYTES = 10 ** 15;

/** `M` alone counts 1024 as in Slurm, Docker and `ulimit`; `MB` and `MiB` are IEC 80000-13. */
const UNITS_BYTES: Record<string, number> = {
  "": 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
  pb: 1000 ** 5,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

const FORMS = "bytes (500000000) or a number with a unit (500MB, 1.5GB, 512MiB, 2GiB)";
const amount = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/;

function bytesOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  const parts = typeof value === "string" ? amount.exec(value.trim().toLowerCase()) : null;
  const unit = parts === null ? undefined : UNITS_BYTES[parts[2]!];
  return unit === undefined ? undefined : Number(parts![1]) * unit;
}

/**
 * An amount of memory as users give it, in whole bytes.
 *
 * @param value bytes as a number or text, or text with a unit in either case: `kB MB GB TB PB` (powers of 1000), `KiB MiB GiB TiB`
 *   and `K M G T` (powers of 1024)
 * @param what what it is for, to begin the message with: `--memory`
 * @throws UsageError for anything else, a negative amount, and one over {@link MAX_MEMORY_BYTES}
 */
export function parseMemory(value: number | string, what = "memory"): number {
  const bytes = bytesOf(value);
  if (bytes === undefined || Number.isNaN(bytes) || bytes < 0) {
    throw new UsageError(`${what}: expected ${FORMS}, got ${shown(value)}`);
  }
  if (bytes > MAX_MEMORY_BYTES) {
    throw new UsageError(`${what}: at most ${formatMemory(MAX_MEMORY_BYTES)}, got ${shown(value)}`);
  }
  return Math.round(bytes);
}

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * An amount for people, to three digits: in powers of 1024 where it is a whole number of MiB, else of 1000.
 * @param beside the amount that it stands beside, whose units it takes, so that the two compare
 */
export function formatMemory(bytes: number, beside = bytes): string {
  const isBinary = beside > 0 && beside % 2 ** 20 === 0 && beside % 10 ** 6 !== 0;
  const [base, units] = isBinary ? [1024, BINARY] : [1000, DECIMAL];
  let value = bytes;
  let unit = 0;
  // 999.6 would be shown as 1000.
  for (; value >= base - 0.5 && unit < units.length - 1; unit++) value /= base;
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))}${units[unit]}`;
}
