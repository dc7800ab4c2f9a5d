import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Project, type Report, WAYS, type Way } from "../fixtures/capture/ways.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures/capture");
const expected = JSON.parse(readFileSync(join(FIXTURES, "messages.json"), "utf8")) as Record<string, string>;
const stackLines = readFileSync(join(FIXTURES, "project/stack.ts"), "utf8").split("\n");

/** Where a line marked `// A` of stack.ts is, as a stack shows it. */
function lineOf(mark: string): string {
  return `stack.ts:${stackLines.findIndex((line) => line.endsWith(`// ${mark}`)) + 1}`;
}

// The fixture script runs once in each way; what it reports becomes one test for each case.
const project = await Project.make();
const reports = new Map<Way, Report>();
for (const way of WAYS) reports.set(way, await project.play(way));
afterAll(() => project.remove());

describe.each(WAYS)("run as: %s", (way) => {
  const { report, messages, stacks } = reports.get(way)!;
  const isCommonJs = way.includes("CommonJS");

  test("all cases of the fixture are there", () => {
    expect(Object.keys(report)).toHaveLength(isCommonJs ? 99 : 101);
  });

  for (const [name, outcome] of Object.entries(report))
    test(name, () => {
      expect(outcome).toBe("ok");
    });

  for (const [name, message] of Object.entries(messages))
    test(`refused: ${name}`, () => {
      // TypeScript makes require() of import(); vitest has functions of its own where Node has import.meta.
      const compiled = way === "compiled CommonJS" ? expected[name]?.replace("import()", "require()") : expected[name];
      if (way === "vitest" && name === "other properties of import.meta")
        expect(message).toMatch(/uses import\.meta\.resolve/);
      else expect(message).toBe(compiled);
    });

  test("stacks show the user's own files, lines and functions, and nothing of humq or Node inside", () => {
    const frames = (name: string) =>
      stacks[name]!.split("\n").map((line) => line.trim().replace(/(:\d+):\d+(\)?)$/, "$1$2"));
    expect(frames("a stack through functions, arrows and methods").slice(0, 4)).toEqual([
      "RangeError: boom 4",
      `at inner (${lineOf("A")})`,
      `at outer (${lineOf("B")})`,
      `at Thrower.run (${lineOf("C")})`,
    ]);
    expect(frames("a stack from a package").slice(0, 3)).toEqual([
      "RangeError: in the package",
      "at fail (node_modules/esm-lib/index.js)",
      `at ${lineOf("D")}`,
    ]);
    expect(frames("a stack of a nested function").slice(0, 3)).toEqual([
      "Error: item 1",
      `at ${lineOf("E")}`,
      "at Array.forEach (<anonymous>)",
    ]);
    for (const stack of Object.values(stacks)) expect(stack).not.toMatch(/humq-|node:internal|core\/capture/);
  });
});

test("columns of stacks are exact", () => {
  expect(reports.get("node")!.stacks["a stack through functions, arrows and methods"]).toContain(
    `at inner (${lineOf("A")}:${stackLines.find((line) => line.endsWith("// A"))!.indexOf("new") + 1})`,
  );
});
