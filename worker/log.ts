/** What a worker says about itself. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

/** Lines with the time on stderr. */
export const stderrLog: Log = {
  info: (message) => void process.stderr.write(`${new Date().toISOString()} ${message}\n`),
  warn: (message) => void process.stderr.write(`${new Date().toISOString()} warning: ${message}\n`),
};

export const silentLog: Log = { info: () => undefined, warn: () => undefined };
