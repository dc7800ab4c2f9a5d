/** The fenced blocks of a page, so that what it shows is what the tests run. */
import { readFileSync } from "node:fs";

export interface Block {
  /** Headings above it, the nearest last. */
  section: string;
  language: string;
  text: string;
}

export function blocksOf(path: string): Block[] {
  const blocks: Block[] = [];
  let section = "";
  let open: Block | undefined;
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const fence = line.match(/^\s*```(\S*)/);
    if (fence !== null) {
      if (open === undefined) open = { section, language: fence[1] ?? "", text: "" };
      else {
        blocks.push(open);
        open = undefined;
      }
    } else if (open !== undefined) open.text += `${line.trimStart() === line ? line : line.replace(/^ {3}/, "")}\n`;
    else section = line.match(/^#+ (.*)/)?.[1] ?? section;
  }
  return blocks;
}
