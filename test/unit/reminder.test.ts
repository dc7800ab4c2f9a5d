/** A script that records calls and never submits them is told so. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

const TASK = new URL("../../core/task.ts", import.meta.url).href;

async function run(body: string) {
  using folder = temporaryDirectory("humq reminder ");
  const script = join(folder.path, "script.mjs");
  writeFileSync(script, `import { task } from ${JSON.stringify(TASK)};\n${body}`);
  return await runProgram(process.execPath, [script]);
}

const reminder = (calls: string, name: string) =>
  `humq: ${calls} recorded and never submitted, so nothing ran. Call ${name}.submit().\n`;

test("each task with calls that were not submitted is named where the script ends", async () => {
  const { code, stderr } = await run(`
    const costly = task(function costly(x) { return x; });
    for (let i = 0; i < 3; i++) costly(i);
    const discarded = task((x) => x);
    discarded(1);
    discarded.discard();
    task((x) => x, { name: "one" })(1);
    task((x) => x, { name: "none" });
  `);
  expect(stderr).toBe(reminder("3 calls of costly were", "costly") + reminder("1 call of one was", "one"));
  expect(code).toBe(0);
});

test("waiting for a call's result without submitting it says why nothing comes", async () => {
  const { code, stderr } = await run("await task((x) => x, { name: 'early' })(1).result();");
  expect(stderr).toContain(reminder("1 call of early was", "early"));
  expect(code).toBe(13);
});

test("a script that fails, or ends itself, is told nothing more", async () => {
  const record = "task((x) => x)(1);\n";
  expect((await run(`${record}throw new Error("broken");`)).stderr).not.toContain("humq:");
  expect((await run(`${record}process.exit(0);`)).stderr).toBe("");
});
