/** A call as one line: columns of a fixed width, since there may be millions of lines. */
import { formatDuration } from "../core/duration.ts";
import { formatMemory } from "../core/memory.ts";
import { isHeard, silence } from "../core/watch/heard.ts";
import type { BookkeepingJson } from "./bookkeeping.ts";
import { moment } from "./table.ts";
import { oneLine } from "./terminal.ts";

const WIDTHS = [8, 9, 9, 7, 8, 6, 30];

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => oneLine(cell).padEnd(WIDTHS[i] ?? 0))
    .join("  ")
    .trimEnd();
}

export const HEADER = line(["CALL", "STATE", "TOOK", "MEMORY", "ATTEMPTS", "LOSSES", "WORKER", "ERROR"]);

interface Shown extends Omit<BookkeepingJson, "datacenter"> {
  index: number;
  state: string;
  error: string | null;
  /** Of a call that runs, when its worker was last heard; null: not for a minute. */
  heardMs: number | null;
}

/** What to know of a worker that has a call and is not heard any more. */
function trouble(heardMs: number | null): string {
  if (heardMs !== null && isHeard({ heardMs })) return "";
  const how = heardMs === null ? "over a minute" : silence({ heardMs });
  return `; its worker was not heard for ${how}: runs elsewhere once its lease is over`;
}

/** Attempts and losses are there only where they say something: most calls have one and none. */
export function lineOf({ index, state, error, worker, startedMs, durationMs, heardMs, ...run }: Shown): string {
  const attempts = run.attempts !== null && run.attempts > 1 ? `${run.attempts}` : "";
  const losses = run.losses !== null && run.losses > 0 ? `${run.losses}` : "";
  const memory = run.peakMemoryBytes === null ? "" : formatMemory(run.peakMemoryBytes);
  const took = durationMs === null ? "" : formatDuration(durationMs);
  const since = state === "open" && startedMs !== null ? `runs since ${moment(startedMs)}${trouble(heardMs)}` : "";
  return line([`${index}`, state, took, memory, attempts, losses, worker ?? "", error?.split("\n", 1)[0] ?? since]);
}
