/** Does what docs/guide/sharing.md says, block by block, as the one who shares and the one who reads. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { task } from "../../core/index.ts";
import { PROGRAM, ROOT } from "../support/cli.ts";
import { Lab, type Person } from "../support/lab.ts";
import { blocksOf } from "../support/markdown.ts";
import { as, homeOf, startWorker } from "../support/people.ts";
import { runProgram } from "../support/processes.ts";
import { temporaryDirectory } from "../support/tools.ts";

const BLOCKS = blocksOf(join(ROOT, "docs", "guide", "sharing.md")).filter(({ language }) => language === "sh");
const directory = temporaryDirectory("humq sharing ");
let lab: Lab;
let alice: Person;
let bob: Person;
let tag: string;

beforeAll(async () => {
  lab = await Lab.start();
  [alice, bob] = [await lab.join("alice"), await lab.join("bob")];
  await lab.join("gpu", { role: "worker" });
  const worker = await startWorker(process.env.HUMQ_HOME);
  const costly = task(function costly(n: number) {
    if (n === 2) throw new Error("two is no good");
    return n ** 2;
  });
  tag = await as(alice, async () => {
    for (let n = 0; n < 4; n++) costly(n);
    using submitted = await costly.submit({ quiet: true, datacenters: ["local"] });
    await submitted.pull({ blocking: true, quiet: true });
    return submitted.name;
  });
  await worker.stop();
  const bin = join(directory.path, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "humq"), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  chmodSync(join(bin, "humq"), 0o755);
}, 300_000);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** The commands of a section, one by one: what each printed. */
async function run(person: Person, section: string): Promise<string[]> {
  const home = homeOf(person.instance);
  const PATH = `${join(directory.path, "bin")}:${process.env.PATH}`;
  const printed: string[] = [];
  for (const line of BLOCKS.filter((block) => block.section === section).flatMap(({ text }) =>
    text.trim().split("\n"),
  )) {
    const env = { HUMQ_HOME: home, HUMQ_INSTANCE: undefined, PATH };
    const { code, stdout, stderr } = await runProgram("bash", ["-euc", line], {
      cwd: directory.path,
      env,
      timeoutMs: 60_000,
    });
    expect([line, code, code === 0 ? "" : stderr]).toEqual([line, 0, ""]);
    printed.push(stdout + stderr);
  }
  return printed;
}

test("a tag is shared, read by its name, taken back, and run by another datacenter, as the guide has it", async () => {
  const [given, , listed] = await run(alice, "As the one who shares");
  expect(given).toMatch(`${tag}: bob can read it until `);
  expect(listed).toMatch(/^NAME +SHARED +EXPIRES\nbob +\d{4}-.*Z\n$/);
  const [tags, status, described, pulled, results, errors] = await run(bob, "As the one who reads");
  expect(tags).toMatch(new RegExp(`SHARED BY\n${tag} .* alice\n$`));
  expect(status).toMatch(/shared by +alice\n[\s\S]*succeeded +3\nerrors +1 \(1 failed\)/);
  expect(described).toMatch(/calls +4\nsucceeded +3\nfailed +1\nopen +0/);
  expect(pulled).toContain(`${tag}: 3 of 4 calls succeeded, 1 failed, 0 still open.`);
  expect(results?.split("\n").slice(0, 3)).toEqual([
    '{"index":0,"value":0}',
    '{"index":1,"value":1}',
    '{"index":3,"value":9}',
  ]);
  expect(errors).toContain("call 2 failed: Error: two is no good");
  expect(await run(alice, "Taking it back")).toEqual([
    `${tag}: taken back from bob. What they pulled before they keep.\n`,
  ]);
  expect(await run(alice, "Another datacenter")).toEqual([`${tag}: gpu may run it as well.\n`]);
});

test("every command of the guide is run", () => {
  const sections = ["As the one who shares", "As the one who reads", "Taking it back", "Another datacenter"];
  expect([...new Set(BLOCKS.map(({ section }) => section))]).toEqual(sections);
});
