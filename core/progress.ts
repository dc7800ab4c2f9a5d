/** Progress for people: a bar on a terminal, now and then a line elsewhere. Always on stderr, so that stdout stays data. */
import { Presets, SingleBar } from "cli-progress";
import { formatDuration } from "./duration.ts";
import { oneLine, printable } from "./printable.ts";

export interface Progress {
  update(done: number): void;
  /** Says something beside the count, on a line of its own. */
  note(text: string): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, note: () => undefined, stop: () => undefined };

/** Where there is no terminal: a line so often, if there is something new. */
const LINE_MS = 10_000;

/** Columns that the text beside the bar takes at most. */
const TEXT_COLUMNS = 60;

/** Columns of a bar that shares one line with its text; pseudo-terminals may say that they have 0 columns. */
function barWidth(columns: number): number {
  return Math.max(5, Math.min(40, (columns || 80) - TEXT_COLUMNS));
}

function showBar(label: string, total: number | undefined): Progress {
  const format =
    total === undefined
      ? `${label} {value} calls, {rate}/s`
      : `${label} {bar} {value}/{total} calls, {rate}/s, {eta_formatted} left`;
  const bar = new SingleBar(
    {
      format,
      stream: process.stderr,
      // Ctrl-C ends a script at once: what the bar changed in the terminal would stay so, such as a hidden cursor.
      hideCursor: false,
      linewrap: true,
      barsize: barWidth(process.stderr.columns),
      etaBuffer: 50,
      // After a note the bar is drawn again though nothing in it has changed.
      forceRedraw: true,
    },
    Presets.shades_classic,
  );
  const started = performance.now();
  const rate = (done: number) => Math.round((done * 1000) / Math.max(1, performance.now() - started));
  bar.start(total ?? Number.MAX_SAFE_INTEGER, 0, { rate: 0 });
  return {
    update: (done) => bar.update(done, { rate: rate(done) }),
    // Over the bar, which is drawn anew below within a moment.
    note: (text) => say(`\r\u001b[K${printable(text)}`),
    stop: () => bar.stop(),
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function showLines(label: string, total: number | undefined): Progress {
  let before: { done: number; atMs: number } | undefined;
  let now = 0;
  const line = () => {
    if (before === undefined || before.done === now) return;
    const rate = Number((((now - before.done) * 1000) / (performance.now() - before.atMs)).toPrecision(3));
    if (total === undefined) say(`${label}: ${now} calls, ${rate}/s`);
    else {
      const left = formatDuration(Math.ceil((total - now) / rate) * 1000);
      say(`${label}: ${now} of ${total} calls, ${rate}/s, ${left} left`);
    }
    before = { done: now, atMs: performance.now() };
  };
  const timer = setInterval(line, LINE_MS);
  timer.unref();
  return {
    update: (done) => {
      before ??= { done, atMs: performance.now() };
      now = done;
    },
    note: (text) => say(printable(text)),
    stop: () => clearInterval(timer),
  };
}

/** @param total number of calls; undefined where it is not known */
export function showProgress(label: string, total: number | undefined, quiet: boolean): Progress {
  if (quiet) return SILENT;
  // The name of a tag may come out of somebody's archive file.
  const harmless = oneLine(label);
  return process.stderr.isTTY ? showBar(harmless, total) : showLines(harmless, total);
}
