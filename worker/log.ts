import { oneLine } from "../core/printable.ts";

/** What a worker says about itself. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

/** Characters of a line: more is of use to nobody but one who wants to fill the disk with it. */
const LONGEST = 4000;

function write(message: string): void {
  // Names of tags and texts of errors come from users.
  const shown = message.length > LONGEST ? `${message.slice(0, LONGEST)}... (${message.length} characters)` : message;
  process.stderr.write(`${new Date().toISOString()} ${oneLine(shown)}\n`);
}

/** Lines with the time on stderr. */
export const stderrLog: Log = {
  info: write,
  warn: (message) => write(`warning: ${message}`),
};

export const silentLog: Log = { info: () => undefined, warn: () => undefined };
