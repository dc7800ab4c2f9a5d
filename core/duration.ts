import { UsageError } from "./errors.ts";
import { shown } from "./shown.ts";

/** The longest duration that is taken: 365 days. Longer ones are slips, such as milliseconds given for seconds. */
export const MAX_DURATION_MS = 365 * 24 * 60 * 60 * 1000;

const UNITS_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
type Unit = keyof typeof UNITS_MS;

const FORMS = "seconds (90), a number with units (90s, 5m, 1h30m, 2d), or HH:MM:SS";

const amounts =
  /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;
const clock = /^(\d+):([0-5]\d):([0-5]\d)$/;

/**
 * A duration as users give it, in whole milliseconds.
 *
 * @param value - Seconds as a number or text (`90`), units from large to small (`90s`, `5m`, `1h30m`, `2d`, `500ms`; `1.5h`),
 *   or `HH:MM:SS`.
 * @param what - What it is for, to begin the message with: `--time-limit`.
 * @throws UsageError for anything else, a negative one, and one over {@link MAX_DURATION_MS}.
 */
export function parseDuration(value: number | string, what = "duration"): number {
  const ms =
    typeof value === "number"
      ? value * 1000
      : typeof value === "string"
        ? parseText(value.trim().toLowerCase())
        : undefined;
  if (ms === undefined || Number.isNaN(ms) || ms < 0) {
    throw new UsageError(`${what}: expected ${FORMS}, got ${shown(value)}`);
  }
  if (ms > MAX_DURATION_MS) {
    throw new UsageError(
      `${what}: at most ${formatDuration(MAX_DURATION_MS)}, got ${shown(value)}; a plain number counts seconds`,
    );
  }
  return Math.round(ms);
}

function parseText(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const time = clock.exec(text);
  if (time) return Number(time[1]) * UNITS_MS.h + Number(time[2]) * UNITS_MS.m + Number(time[3]) * UNITS_MS.s;
  const parts = text === "" ? null : amounts.exec(text);
  if (!parts) return undefined;
  return (Object.keys(UNITS_MS) as Unit[]).reduce(
    (sum, unit, i) => sum + Number(parts[i + 1] ?? 0) * UNITS_MS[unit],
    0,
  );
}

/** A duration for people, which {@link parseDuration} reads back: `850ms`, `1.25s`, `1h30m`, `2d`. */
export function formatDuration(ms: number): string {
  const rounded = Math.round(ms);
  if (rounded === 0) return "0s";
  if (rounded < 1000) return `${rounded}ms`;
  if (rounded < UNITS_MS.m) return `${rounded / 1000}s`;
  // Fractions of a second say nothing beside minutes.
  let rest = Math.round(rounded / 1000) * 1000;
  let text = "";
  for (const unit of ["d", "h", "m", "s"] as const) {
    const count = Math.floor(rest / UNITS_MS[unit]);
    rest -= count * UNITS_MS[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
