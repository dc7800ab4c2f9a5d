/** The demo and every example, run as a person would. */
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ROOT } from "../support/cli.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

const directory = temporaryDirectory("humq examples ");
afterAll(() => directory[Symbol.dispose]());

async function node(script: string): Promise<string> {
  const ended = await runProgram(process.execPath, [join(ROOT, script)], { cwd: directory.path });
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended.stdout;
}

it("the demo tells the whole story", async () => {
  const story = await node("examples/flights/demo.ts");
  for (let step = 1; step <= 5; step++) expect(story).toMatch(new RegExp(`^${step}\\. `, "m"));
  expect(story).toContain("You are ada (submitter)");
  expect(story).toMatch(/'JFK'\s+│ 200\s+│ '16\.2'\s+│ '10\.5 to 22\.6'/);
  expect(story).toContain("52 results, 0 errors");
  expect(story).toContain(`The results are in ${join(directory.path, "flights.db")}`);
});

it("every example runs", async () => {
  const output = await node("examples/all.ts");
  expect(output).toMatch(/pi is about 3\.14/);
  expect(output).toContain("r = 2.500: 1 point\n");
  expect(output).toContain("every example ran");
});
