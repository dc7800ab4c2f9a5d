/** Data of many lines, written as it comes: JSON lines or, with --json, one array. */

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

/** One JSON value a line or, with `asArray`, all of them in one array. */
export async function writeJson(values: Iterable<Json>, asArray: boolean): Promise<number> {
  const texts = Iterator.from(values).map((value) => printableJson(JSON.stringify(value)));
  if (!asArray) return writeLines(texts);
  const block = new Block();
  let count = 0;
  for (const text of texts) await block.add(`${count++ === 0 ? "[\n" : ",\n"}${text}`);
  await block.add(count === 0 ? "[]\n" : "\n]\n");
  await block.end();
  return count;
}
