import type { Conditions } from "./conditions.ts";
import type { Report, SectionReport } from "./report.ts";
import { isFigure, type Row } from "./section.ts";
import { alignColumns, cellsOf, HEADINGS, matrixOf, splitRows } from "./table.ts";

/** Conditions in one sentence, without the full stop. */
export function conditionsText(conditions: Conditions): string {
  const { processor, cores, memoryGB, system, load, node, natsServer, humq, isolation, slots, runs, date } = conditions;
  return (
    `humq ${humq}, Node ${node}, nats-server ${natsServer}, isolation: ${isolation}, encryption on; ${processor}, ` +
    `${cores} cores, ${memoryGB} GB, ${system}; everything on this machine, ${slots} slots; load ${load.begin} at the ` +
    `beginning, ${load.end} at the end; each figure the median of ${runs} ${runs === 1 ? "run" : "runs"}; ${date.slice(0, 10)}`
  );
}

function sectionText({ name, title, method, tookS, rows, failures }: SectionReport): string {
  const { matrix, list } = splitRows(rows);
  const lines = [`${title}  [${name}, ${tookS.toFixed(0)} s]`, method, ""];
  if (list.length > 0) lines.push(...alignColumns([HEADINGS, ...list.map(cellsOf)], new Set([1, 2, 3])));
  if (matrix.length > 0) {
    const grid = matrixOf(matrix);
    if (list.length > 0) lines.push("");
    lines.push(...alignColumns(grid, new Set(grid[0]?.keys().filter((i) => i > 0))));
  }
  for (const failure of failures) lines.push(`FAILED: ${failure}`);
  return lines.join("\n");
}

/** Budgets are for whole runs: beside figures that mean nothing they would read as missed. */
function withoutBudget(row: Row): Row {
  if (!isFigure(row)) return row;
  const { budget: _, ...figure } = row;
  return figure;
}

/** All of it, for a terminal. */
export function reportText({ conditions, sections }: Report): string {
  const only = conditions.smoke ? ["A smoke run: it shows that everything works, its figures mean nothing."] : [];
  const shown = conditions.smoke
    ? sections.map((section) => ({ ...section, rows: section.rows.map(withoutBudget) }))
    : sections;
  const total = sections.reduce((sum, { tookS }) => sum + tookS, 0);
  return [conditionsText(conditions), ...only, ...shown.map(sectionText), `${total.toFixed(0)} s in all`].join("\n\n");
}
