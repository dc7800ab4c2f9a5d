import type { BudgetName } from "./budgets.ts";
import type { Cleanup } from "./cleanup.ts";

/** One part of the bench; `--only` takes its name. Listed in `sections.ts`. */
export interface Section {
  /** A short word for `--only`. */
  readonly name: string;
  /** Above its rows. */
  readonly title: string;
  /** How it is measured, in one or two sentences; stands below the title. */
  readonly method: string;
  /** @returns its rows; throws where something does not work, a call without its right result among that */
  run(bench: Bench): Promise<Row[]>;
}

/** What a section is given. */
export interface Bench {
  /** Tiny numbers, one run, nothing installed: does it all work? */
  readonly smoke: boolean;
  /** Also what takes very long: 10^7 calls. */
  readonly huge: boolean;
  /** How often each figure is measured; the warm-up is not among them. */
  readonly runs: number;
  /** Number of the first run: 0, a warm-up whose figures are thrown away; 1 in a smoke run, which has none. */
  readonly firstRun: 0 | 1;
  /** Calls of one run of empty calls, one a message; sections scale their own numbers from it. */
  readonly calls: number;
  /** Calls at the same time, in all: the machine's cores. */
  readonly slots: number;
  /** An empty folder of the section's own; removed afterwards. */
  readonly folder: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** What ends when the section ends, by error or Ctrl-C too: register whatever you start, at once. */
  readonly cleanup: Cleanup;
  /** Of the systems side by side only those whose name holds this text (lower case). */
  readonly contender: string | undefined;
  /** Something does not work: the run fails, but the section goes on with the rest. */
  fail(what: string): void;
  /** Progress, on stderr. */
  say(text: string): void;
}

export type Unit = "calls/s" | "MB/s" | "ms" | "s" | "us" | "MB" | "%" | "bytes" | "";

/** One line of the table. */
export type Row = Figure | Absent | Remark;

export interface Figure {
  readonly label: string;
  readonly unit: Unit;
  /** One a run; the table shows their median, least and most. */
  readonly samples: readonly number[];
  /** What of section 11 of the design it is held against. */
  readonly budget?: BudgetName;
  readonly note?: string;
  /** Of a table with several columns (systems by workloads): where it stands in it. */
  readonly cell?: { readonly row: string; readonly column: string };
}

/** What could not be measured here, and why. */
export interface Absent {
  readonly label: string;
  readonly skipped: string;
}

/** What a reader of the figures has to know. */
export interface Remark {
  readonly label: string;
  readonly remark: string;
}

export function isFigure(row: Row): row is Figure {
  return "samples" in row;
}
