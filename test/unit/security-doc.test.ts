/** docs/security.md names a test for each promise: those tests exist, under these titles. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const FOLDERS = ["test/attacks", "test/integration", "test/unit"];
const files = new Map(
  FOLDERS.flatMap((folder) => readdirSync(`${root}${folder}`).map((name) => [name, `${root}${folder}/${name}`])),
);

const page = readFileSync(`${root}docs/security.md`, "utf8");

interface Claim {
  file: string;
  title: string;
}

/** A test file as the page names it: `x.test.ts`, its path, or in tables just `x`. */
const MENTION = /`(?:test\/[a-z]+\/)?([a-z][\w-]*?)(?:\.test\.ts)?`(?=[,:;. |)]|$)/;
const QUOTED = /"((?:[^"\\]|\\.)+)"/;

/** In tables titles are in quotes, and the file may stand in a row above; elsewhere they follow it at once. */
function claims(): Claim[] {
  const found: Claim[] = [];
  let file = "";
  for (const line of page.split("\n")) {
    if (line.startsWith("#")) file = "";
    const isRow = line.startsWith("|");
    let behindFile = false;
    for (const match of line.matchAll(new RegExp(`${MENTION.source}|${QUOTED.source}`, "g"))) {
      const [whole, mention, title] = match;
      if (mention !== undefined) {
        behindFile = files.has(`${mention}.test.ts`);
        if (behindFile) file = `${mention}.test.ts`;
        else if (whole.includes(".test.ts")) found.push({ file: `${mention}.test.ts`, title: "" });
      } else if (title !== undefined && file !== "" && (isRow || behindFile)) {
        found.push({ file, title });
      }
    }
  }
  return found;
}

/** A test file and the files beside it that it is made of. */
function withParts(path: string): string {
  const source = readFileSync(path, "utf8");
  const parts = source
    .matchAll(/from "(\.\/[\w-]+\.ts)"/g)
    .map(([, part]) => readFileSync(join(dirname(path), part!), "utf8"));
  return [source, ...parts].join("\n");
}

/** In order, with anything between them: a title may leave out what differs from case to case. */
function holds(source: string, pieces: readonly string[]): boolean {
  let at = 0;
  for (const piece of pieces) {
    const position = source.indexOf(piece, at);
    if (position === -1) return false;
    at = position + piece.length;
  }
  return true;
}

test("each chapter with promises names tests", () => {
  const without = page
    .split(/^## /m)
    .slice(1)
    .filter((chapter) => !/\.test\.ts`|in `test\/attacks\/` \|/.test(chapter))
    .map((chapter) => chapter.split("\n")[0]);
  expect(without).toEqual(["What is protected, and from whom", "What is not promised"]);
});

describe.each(
  Map.groupBy(claims(), ({ file }) => file)
    .entries()
    .toArray(),
)("%s", (file, its) => {
  test("is there, with the titles that docs/security.md quotes", () => {
    const path = files.get(file);
    expect(path, `${file} does not exist`).toBeDefined();
    const source = withParts(path!).replaceAll('\\"', '"');
    const missing = its.filter(
      ({ title }) =>
        !holds(
          source,
          title.split("...").map((piece) => piece.trim()),
        ),
    );
    expect(missing.map(({ title }) => title)).toEqual([]);
  });
});
