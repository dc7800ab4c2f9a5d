/** The progress bar, on what looks like a terminal. */
import { expect, test } from "vitest";
import { runProgram } from "../support/processes.ts";

const PROGRESS = new URL("../../core/progress.ts", import.meta.url).href;
/** What hides the cursor, and what ends the breaking of long lines. */
const CHANGES = [`${"\u001b"}[?25l`, `${"\u001b"}[?7l`];

async function show(columns: number, rest: string) {
  const script = `
    process.stderr.isTTY = true;
    process.stderr.columns = ${columns};
    const { showProgress } = await import(${JSON.stringify(PROGRESS)});
    const progress = showProgress("pull", 1000000, false);
    progress.update(500000);
    ${rest}`;
  return await runProgram(process.execPath, ["--input-type=module", "-e", script]);
}

test("Ctrl-C in the middle leaves a terminal as it was", async () => {
  const { signal, stderr } = await show(
    100,
    "process.kill(process.pid, 'SIGINT'); await new Promise(() => setInterval(() => {}, 1000));",
  );
  expect(signal).toBe("SIGINT");
  expect(stderr).toContain("pull ");
  for (const change of CHANGES) expect(stderr).not.toContain(change);
});

test.each([0, 40, 72, 80, 200])("with %d columns the bar stays on one line where its text does", async (columns) => {
  const { stderr } = await show(columns, "progress.stop();");
  const bars = stderr.match(/[█░]+/g) ?? [];
  expect(bars.length).toBeGreaterThan(0);
  const longest = Math.max(...bars.map((bar) => bar.length));
  expect(longest).toBe({ 0: 20, 40: 5, 72: 12, 80: 20, 200: 40 }[columns]);
});
