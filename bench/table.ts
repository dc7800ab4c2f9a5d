import { type BudgetName, judge } from "./budgets.ts";
import { type Figure, isFigure, type Row, type Unit } from "./section.ts";
import { summarise } from "./statistics.ts";

/** Digits that mean something: three, and thousands apart. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const rounded = size >= 1000 ? Number(value.toPrecision(3)) : value;
  return rounded.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function formatValue(value: number, unit: Unit): string {
  return unit === "" ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

/** "met, x1.25" or "missed, x0.80". */
export function formatJudged(name: BudgetName, value: number): string {
  const { met, ratio } = judge(name, value);
  const shown = ratio >= 100 ? "100+" : ratio.toFixed(2);
  return `${met ? "met" : "missed"}, x${shown}`;
}

export const HEADINGS = ["", "median", "least to most", "budget", "", ""] as const;

/** The cells of a line: label, median, spread, budget, how it stands to it, note. */
export function cellsOf(row: Row): string[] {
  if ("skipped" in row) return [row.label, "SKIPPED", "", "", "", row.skipped];
  if ("remark" in row) return [row.label, "", "", "", "", row.remark];
  const { label, unit, samples, budget, note = "" } = row;
  const { median, least, most } = summarise(samples);
  const spread = samples.length === 1 ? "one run" : `${formatNumber(least)} to ${formatNumber(most)}`;
  const judged = budget === undefined ? ["", ""] : [judge(budget, median).text, formatJudged(budget, median)];
  return [label, formatValue(median, unit), spread, ...judged, note];
}

/** Columns as wide as they need; numbers' columns are aligned to the right. */
export function alignColumns(lines: readonly (readonly string[])[], right: ReadonlySet<number>): string[] {
  const columns = Math.max(0, ...lines.map((cells) => cells.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  return lines.map((cells) =>
    cells
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

export function markdownTable(lines: readonly (readonly string[])[]): string[] {
  const [head = [], ...others] = lines.map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`,
  );
  const columns = lines[0]?.length ?? 0;
  return [String(head), `|${" --- |".repeat(columns)}`, ...others];
}

/** Figures with a place in a table of several columns, and the rest. */
export function splitRows(rows: readonly Row[]): { matrix: Figure[]; list: Row[] } {
  const inMatrix = (row: Row): row is Figure => isFigure(row) && row.cell !== undefined;
  return { matrix: rows.filter(inMatrix), list: rows.filter((row) => !inMatrix(row)) };
}

/** One line a system, one column a workload: its median, the unit in the head. */
export function matrixOf(figures: readonly Figure[]): string[][] {
  const names = (which: "row" | "column") => [...new Set(figures.map(({ cell }) => cell![which]))];
  const columns = names("column");
  const lines = names("row").map((row) => {
    const cells = columns.map((column) => {
      const found = figures.find(({ cell }) => cell!.row === row && cell!.column === column);
      return found === undefined ? "" : formatNumber(summarise(found.samples).median);
    });
    return [row, ...cells];
  });
  const unitOf = (column: string) => figures.find(({ cell }) => cell!.column === column)?.unit;
  return [["", ...columns.map((column) => `${column}, ${unitOf(column)}`)], ...lines];
}
