/** A call as one line: columns of a fixed width, since there may be millions of lines. */
import { formatDuration } from "../core/duration.ts";
import { isHeard, silence } from "../core/watch/heard.ts";
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
  /** Of a call that runs, when its worker was last heard; null: not for a minute. */
  heardMs: number | null;
}

/** What to know of a worker that has a call and is not heard any more. */
function trouble(heardMs: number | null): string {
  if (heardMs !== null && isHeard({ heardMs })) return "";
  const how = heardMs === null ? "over a minute" : silence({ heardMs });
  return `; its worker was not heard for ${how}: runs elsewhere once its lease is over`;
}

export function lineOf({ index, state, error, worker, startedMs, durationMs, heardMs }: Shown): string {
  const took = durationMs === null ? "" : formatDuration(durationMs);
  const since = state === "open" && startedMs !== null ? `runs since ${moment(startedMs)}${trouble(heardMs)}` : "";
  return line([`${index}`, state, took, worker ?? "", error?.split("\n", 1)[0] ?? since]);
}
