/** Where commands write: data on stdout, everything else on stderr. */
import { once } from "node:events";
import { printable } from "./terminal.ts";

/** Whoever read our output has had enough (`humq results ... | head`). */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** The real stdout, which stays data when `keepStdoutForData` has turned the rest away. */
const writeStdout = process.stdout.write.bind(process.stdout);
let closed = false;
let begun = false;

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  closed = true;
});

// What is said beside the data is lost where nobody reads it (a log's pipe, a terminal that is gone); the work goes on.
process.stderr.on("error", () => undefined);

/**
 * Writes data; resolves when more may come.
 * @throws OutputClosed when nobody reads any more
 */
export async function writeData(text: string): Promise<void> {
  if (closed) throw new OutputClosed();
  begun = true;
  if (writeStdout(text)) return;
  // Takes the listener of the event that did not come away again: each of millions of lines may wait here.
  const over = new AbortController();
  const { signal } = over;
  const events = ["drain", "close"].map((event) => once(process.stdout, event, { signal }));
  await Promise.race(events).catch(() => undefined);
  over.abort();
  await Promise.allSettled(events);
  if (closed) throw new OutputClosed();
}

/** Whether data was written: with --json no second value may follow. */
export function hasWrittenData(): boolean {
  return begun;
}

/** For people; whatever of it came from elsewhere is harmless for their terminal. */
export function message(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** From now on what user code prints goes to stderr: stdout is for the command's own data. */
export function keepStdoutForData(): void {
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
}

/** Waits until what was written has gone to the reader. */
export async function flushOutput(): Promise<void> {
  const { promise: out, resolve: outDone } = Promise.withResolvers<void>();
  const { promise: err, resolve: errDone } = Promise.withResolvers<void>();
  if (closed) outDone();
  else writeStdout("", () => outDone());
  process.stderr.write("", () => errDone());
  await Promise.all([out, err]);
}
