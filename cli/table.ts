import { isoTime } from "../core/moment.ts";
import { oneLine } from "./terminal.ts";

/** Aligned text: one line for the names of the columns, one a row. */
export function table(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [columns, ...rows].map((row) => row.map((cell) => oneLine(String(cell))));
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names and values, a line each. */
export function list(entries: readonly (readonly [name: string, value: string | number])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${oneLine(String(value))}`).join("\n");
}

/** A moment as people read it, in UTC; `never` for 0. */
export function moment(ms: number): string {
  return ms === 0 ? "never" : isoTime(ms).replace(/^([\d+-]+)T(.*)\.\d+Z$/, "$1 $2Z");
}
