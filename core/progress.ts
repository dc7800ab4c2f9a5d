/** Progress for people: a bar on a terminal, nothing elsewhere. Always on stderr, so that stdout stays data. */
import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  update(done: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** Columns that the text beside the bar takes at most. */
const TEXT_COLUMNS = 60;

/** Columns of a bar that shares one line with its text; pseudo-terminals may say that they have 0 columns. */
function barWidth(columns: number): number {
  return Math.max(5, Math.min(40, (columns || 80) - TEXT_COLUMNS));
}

/** @param total number of calls */
export function showProgress(label: string, total: number, quiet: boolean): Progress {
  if (quiet || !process.stderr.isTTY) return SILENT;
  const bar = new SingleBar(
    {
      format: `${label} {bar} {value}/{total} calls, {rate}/s, {eta_formatted} left`,
      stream: process.stderr,
      // Ctrl-C ends a script at once: what the bar changed in the terminal would stay so, such as a hidden cursor.
      hideCursor: false,
      linewrap: true,
      barsize: barWidth(process.stderr.columns),
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  const started = performance.now();
  const rate = (done: number) => Math.round((done * 1000) / Math.max(1, performance.now() - started));
  bar.start(total, 0, { rate: 0 });
  return {
    update: (done) => bar.update(done, { rate: rate(done) }),
    stop: () => bar.stop(),
  };
}
