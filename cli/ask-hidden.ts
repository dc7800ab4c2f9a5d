/** Asking on the terminal for what is not to be seen there. */
import { closeSync, openSync, readSync } from "node:fs";
import { canAsk } from "./confirm.ts";
import { InterruptedError } from "./failure.ts";

const KEY = { interrupt: 3, end: 4, backspace: 8, newline: 10, enter: 13, clear: 21, delete: 127 } as const;

/** What the keys of one line come to. @throws InterruptedError for Ctrl-C and Ctrl-D */
function readLine(terminal: number): string {
  const key = Buffer.alloc(1);
  let bytes: number[] = [];
  for (;;) {
    const [code] = readSync(terminal, key) === 0 ? [KEY.end] : key;
    if (code === KEY.interrupt || code === KEY.end) throw new InterruptedError("no passphrase was given");
    if (code === KEY.enter || code === KEY.newline) return Buffer.from(bytes).toString("utf8");
    if (code === KEY.clear) bytes = [];
    else if (code === KEY.backspace || code === KEY.delete) bytes = dropLast(bytes);
    else if (code !== undefined) bytes.push(code);
  }
}

/** Without the last character, which may be several bytes of UTF-8. */
function dropLast(bytes: readonly number[]): number[] {
  const characters = [...Buffer.from(bytes).toString("utf8")];
  return [...Buffer.from(characters.slice(0, -1).join(""), "utf8")];
}

/**
 * Waits for an answer, of which nothing is shown. Everything else in this process waits as well.
 * @returns undefined where nobody is at a terminal
 * @throws InterruptedError for Ctrl-C and Ctrl-D
 */
export function askHiddenOnTerminal(question: string): string | undefined {
  if (!canAsk()) return undefined;
  // Its own descriptor: that of stdin does not block.
  const terminal = openSync("/dev/tty", "r");
  process.stdin.setRawMode(true);
  try {
    process.stderr.write(question);
    return readLine(terminal);
  } finally {
    process.stdin.setRawMode(false);
    closeSync(terminal);
    process.stderr.write("\n");
  }
}
