/** A call as one line: columns of a fixed width, since there may be millions of lines. */
import { formatDuration } from "../core/duration.ts";
import { moment } from "./table.ts";
import { oneLine } from "./terminal.ts";

const WIDTHS = [8, 9, 9, 30];

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => oneLine(cell).padEnd(WIDTHS[i] ?? 0))
    .join("  ")
    .trimEnd();
}

export const HEADER = line(["CALL", "STATE", "TOOK", "WORKER", "ERROR"]);

interface Shown {
  index: number;
  state: string;
  error: string | null;
  worker: string | null;
  startedMs: number | null;
  durationMs: number | null;
}

export function lineOf({ index, state, error, worker, startedMs, durationMs }: Shown): string {
  const took = durationMs === null ? "" : formatDuration(durationMs);
  const since = state === "open" && startedMs !== null ? `runs since ${moment(startedMs)}` : "";
  return line([`${index}`, state, took, worker ?? "", error?.split("\n", 1)[0] ?? since]);
}
