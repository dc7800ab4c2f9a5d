import { resolve } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../support/processes.ts";

const OUTPUT = resolve(import.meta.dirname, "../../cli/output.ts");

test("waiting for a slow reader leaves no listeners behind", async () => {
  const script = `
    const { writeData } = await import(${JSON.stringify(OUTPUT)});
    const before = process.stdout.eventNames().map((name) => process.stdout.listenerCount(name));
    let waits = 0;
    process.stdout.on("drain", () => waits++);
    for (let i = 0; i < 30; i++) await writeData("x".repeat(100_000) + "\\n");
    process.stdout.removeAllListeners("drain");
    const after = process.stdout.eventNames().map((name) => process.stdout.listenerCount(name));
    process.stderr.write(JSON.stringify({ waited: waits > 10, before, after }));
  `;
  const { stdout, stderr } = await runProgram(process.execPath, ["--input-type=module", "--eval", script]);
  const { waited, before, after } = JSON.parse(stderr) as Record<"waited" | "before" | "after", unknown>;
  expect(waited).toBe(true);
  expect(after).toEqual(before);
  expect(stdout).toHaveLength(30 * 100_001);
});
