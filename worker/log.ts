import { oneLine } from "../core/printable.ts";

/** What a worker says about itself. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

function write(message: string): void {
  // Names of tags and texts of errors come from users.
  process.stderr.write(`${new Date().toISOString()} ${oneLine(message)}\n`);
}

/** Lines with the time on stderr. */
export const stderrLog: Log = {
  info: write,
  warn: (message) => write(`warning: ${message}`),
};

export const silentLog: Log = { info: () => undefined, warn: () => undefined };
