import { expect, test } from "vitest";
import { ROOT } from "../support/cli.ts";
import { runProgram } from "../support/processes.ts";

test("what users name things moves no cursor on the terminal of a worker, and makes no second line", async () => {
  const script = `
    import { stderrLog } from "./worker/log.ts";
    stderrLog.warn("could not read \\u001b[2Jevil\\n2026 all is well");
    stderrLog.info("plain");`;
  const { stderr } = await runProgram(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
  expect(stderr.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/^\S+Z warning: could not read \\u001b\[2Jevil\\n2026 all is well$/),
    expect.stringMatching(/^\S+Z plain$/),
  ]);
});
