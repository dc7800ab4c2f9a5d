import { inspect } from "node:util";

/** Characters of a text that are repeated in a message. */
const LONGEST = 200;

/** Whatever came in the place of an option, as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}...` : value);
  }
  return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 5, maxStringLength: 100 });
}
