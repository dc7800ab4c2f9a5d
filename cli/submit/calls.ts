/** Arguments of calls, one call a line of JSON. */
import { createReadStream } from "node:fs";
import { UsageError } from "../../core/errors.ts";
import { nearest } from "../../core/suggest.ts";
import { checkNumbers } from "./numbers.ts";
import type { Parameters } from "./parameters.ts";

/** Characters. A text can hold twice as many. */
const LONGEST_LINE = 256 * 1024 * 1024;

/** Lines with their numbers, from 1. Only line feeds end a line: JSON may hold U+2028 and its like as they are. */
async function* linesOf(file: string): AsyncGenerator<{ line: string; number: number }> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  let rest: string[] = [];
  let length = 0;
  const stream = file === "-" ? process.stdin : createReadStream(file);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    // What an unfinished line has so far is joined once, at its end: it may come in thousands of pieces.
    rest.push(lines[0]!);
    length += lines[0]!.length;
    if (length > LONGEST_LINE)
      throw new UsageError(`a line of more than ${LONGEST_LINE >> 20} MB: one call is one line`);
    if (lines.length === 1) continue;
    const last = lines.pop()!;
    lines[0] = rest.join("");
    rest = [last];
    length = last.length;
    for (const line of lines) yield { line, number: ++number };
  }
  rest.push(decoder.decode());
  const line = rest.join("");
  if (line !== "") yield { line, number: ++number };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new UsageError(`not JSON (${(error as Error).message})`);
  }
}

function byName(given: Record<string, unknown>, parameters: Parameters | undefined): unknown[] {
  if (parameters === undefined) {
    throw new UsageError("the function's parameters have no names to see: give the arguments as an array");
  }
  if (parameters.kind === "object") return [given];
  const { names } = parameters;
  const known = names.filter((name) => name !== undefined);
  const positions = Object.keys(given).map((key) => {
    const position = names.indexOf(key);
    if (position >= 0) return position;
    const hint = nearest(key, known);
    throw new UsageError(
      `the function has no parameter ${JSON.stringify(key)} (it has: ${known.join(", ") || "none"}). ` +
        `${hint === undefined ? "" : `Did you mean ${hint}? `}To pass the object itself, put it into an array: [{...}]`,
    );
  });
  const list = Array.from({ length: Math.max(-1, ...positions) + 1 }, (): unknown => undefined);
  Object.values(given).forEach((value, i) => {
    list[positions[i]!] = value;
  });
  return list;
}

/** One call's arguments: an array as they follow each other, an object by the parameters' names. */
export function argumentsOf(line: string, parameters: Parameters | undefined): unknown[] {
  const value = parse(line);
  checkNumbers(line);
  if (Array.isArray(value)) return value;
  if (typeof value === "object" && value !== null) return byName(value as Record<string, unknown>, parameters);
  throw new UsageError(
    `expected an array or an object, got ${line.trim().slice(0, 40)}. For one argument: [${line.trim().slice(0, 40)}]`,
  );
}

/**
 * The calls in a file, in order; empty lines count for nothing.
 * @param file `-` for stdin
 * @throws UsageError with file and line number
 */
export async function* readCalls(file: string, parameters: Parameters | undefined): AsyncGenerator<unknown[]> {
  const shown = file === "-" ? "stdin" : file;
  let last = 0;
  try {
    for await (const { line, number } of linesOf(file)) {
      last = number;
      if (line.trim() !== "") yield argumentsOf(line, parameters);
    }
  } catch (error) {
    const { code, errno, message } = error as NodeJS.ErrnoException;
    if (error instanceof UsageError) throw new UsageError(`${shown}, line ${last}: ${message}`, { cause: error });
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      throw new UsageError(`${shown}, after line ${last}: not UTF-8`, { cause: error });
    }
    // Of the system's (ENOENT) or of a name that no file can have.
    if (typeof errno === "number" || code === "ERR_INVALID_ARG_VALUE") {
      throw new UsageError(`cannot read ${shown}: ${message}`, { cause: error });
    }
    throw error;
  }
}
