/** Asking the person at the terminal. */
import { createInterface } from "node:readline/promises";

/** Whether somebody can be asked: both ends are a terminal. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** @returns whether the person at the terminal wants it; not where they end the input */
export async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new AbortController();
  terminal.once("close", () => gone.abort());
  terminal.once("SIGINT", () => terminal.close());
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal: gone.signal })).trim());
  } catch (error) {
    if (!gone.signal.aborted) throw error;
    process.stderr.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}
