/** The JSON text that commands print. */
import { printableJson } from "./terminal.ts";

/** One value, indented, ending its line. */
export function jsonText(value: unknown): string {
  return `${printableJson(JSON.stringify(value, null, 2))}\n`;
}
