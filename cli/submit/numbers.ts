/** Numbers in JSON that JavaScript's cannot hold, and which `JSON.parse` would make others of. */
import { UsageError } from "../../core/errors.ts";

/** Beyond so many digits no number is exact, whatever they are. */
const MOST_DIGITS = 309;

/** The line without its strings. By hand: on a string of megabytes a regular expression overflows its stack. */
function outsideStrings(json: string): string {
  const parts: string[] = [];
  let at = 0;
  for (let open = json.indexOf('"'); open >= 0; open = json.indexOf('"', at)) {
    parts.push(json.slice(at, open));
    at = endOfString(json, open + 1);
  }
  return [...parts, json.slice(at)].join('""');
}

/** @param from behind the opening quote */
function endOfString(json: string, from: number): number {
  for (let quote = json.indexOf('"', from); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let escapes = 0;
    while (json[quote - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return quote + 1;
  }
  return json.length;
}

function isExact(digits: string): boolean {
  return digits.length < MOST_DIGITS && BigInt(digits) === BigInt(Number(digits));
}

/**
 * @param json valid JSON
 * @throws UsageError where an integer would arrive as another one, or any number as infinity
 */
export function checkNumbers(json: string): void {
  if (!/\d{16}|\d[eE]/.test(json)) return;
  for (const [text] of outsideStrings(json).matchAll(/(?<![\w.+-])-?\d[\d.eE+-]*/g)) {
    const shown = text.length > 50 ? `${text.slice(0, 50)}...` : text;
    const digits = text.startsWith("-") ? text.slice(1) : text;
    if (/^\d{16,}$/.test(digits) && !isExact(digits)) {
      throw new UsageError(
        `${shown} does not fit a number exactly: give it as a string, and make it a BigInt in the task`,
      );
    }
    if (!Number.isFinite(Number(text))) throw new UsageError(`${shown} is larger than any number can be`);
  }
}
