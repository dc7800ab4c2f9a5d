/** A short text on stdin. */
import { UsageError } from "../core/errors.ts";

const MOST_BYTES = 64 * 1024;

/** @throws UsageError where it is longer than anything that is asked for this way */
export async function readStdin(): Promise<string> {
  let text = "";
  for await (const part of process.stdin.setEncoding("utf8")) {
    text += part as string;
    if (text.length > MOST_BYTES) throw new UsageError(`what is on stdin is longer than ${MOST_BYTES} bytes`);
  }
  return text;
}
