/** Data of many lines, written as it comes: JSON lines or, with --json, one array. */

import { UsageError } from "../core/errors.ts";
import { writeData } from "./output.ts";
import { printableJson } from "./terminal.ts";
import { type Json, toJson } from "./value-json.ts";

export { type Json, toJson };

/** Characters gathered before they are written. */
const BLOCK = 64 * 1024;

class Block {
  #text = "";

  async add(text: string): Promise<void> {
    this.#text += text;
    if (this.#text.length >= BLOCK) await this.end();
  }

  async end(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") await writeData(text);
  }
}

/** @returns how many there were */
export async function writeLines(lines: Iterable<string>): Promise<number> {
  const block = new Block();
  let count = 0;
  for (const line of lines) {
    await block.add(`${line}\n`);
    count++;
  }
  await block.end();
  return count;
}

/** @throws UsageError where a value is longer as JSON than a text can be: 512 MB */
function textOf(value: Json): string {
  try {
    return printableJson(JSON.stringify(value));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const of = typeof value === "object" && value !== null && "index" in value ? ` of call ${value.index}` : "";
    throw new UsageError(`what came${of} is too large for JSON: read it in a program, with Tag.fromFile()`, { cause });
  }
}

/** One JSON value a line or, with `asArray`, all of them in one array. */
export async function writeJson(values: Iterable<Json>, asArray: boolean): Promise<number> {
  const texts = Iterator.from(values).map(textOf);
  if (!asArray) return writeLines(texts);
  const block = new Block();
  let count = 0;
  for (const text of texts) await block.add(`${count++ === 0 ? "[\n" : ",\n"}${text}`);
  await block.add(count === 0 ? "[]\n" : "\n]\n");
  await block.end();
  return count;
}
