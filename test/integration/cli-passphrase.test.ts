/** The passphrase of the root key, on a terminal and in scripts. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Home } from "../support/cli.ts";
import { NO_TERMINAL, onTerminal } from "../support/pseudo-terminal.ts";
import { temporaryDirectory } from "../support/tools.ts";

interface ErrorJson {
  error: { code: string; message: string };
}

const folder = temporaryDirectory("humq passphrase ");
const home = new Home();
const root = join(home.path, "instances", "main", "root.seed");
/** A file with a passphrase, for scripts. */
const file = (name: string, content: string) => {
  const path = join(folder.path, name);
  writeFileSync(path, `${content}\n`, { mode: 0o600 });
  return path;
};
const [first, second] = ["the first of them", "the s\u00e9cond of them"];
let seed: string;

beforeAll(async () => {
  const init = ["init", "--host", "localhost", "--dir", join(folder.path, "server")];
  expect((await home.run(init)).code).toBe(0);
  seed = readFileSync(root, "utf8");
});
afterAll(() => {
  home[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const OLD = /Passphrase of the root key: $/;
const NEW = /New passphrase of the root key: $/;
const AGAIN = /The same again: $/;

describe.skipIf(NO_TERMINAL !== undefined)("on a terminal", () => {
  const run = (args: string[], ...talk: [RegExp, string][]) =>
    onTerminal(
      home.env,
      args,
      talk.map(([when, keys]) => ({ when, keys })),
      folder.path,
    );

  test("a passphrase is asked for twice and not shown; corrections count", async () => {
    const { screen, code } = await run(["passphrase"], [NEW, `x\x15${first}zz\x7f\x7f\r`], [AGAIN, `${first}\r`]);
    expect([code, screen]).toEqual([
      0,
      expect.stringContaining('The root key of "main" is protected by the new passphrase'),
    ]);
    expect(screen).not.toContain(first);
    expect(readFileSync(root, "utf8")).toMatch(/^humq-protected [\w-]+ [\w-]+\n$/);
  });

  test("it is asked for when it is needed, three times at most", async () => {
    const before = readFileSync(root, "utf8");
    const wrong: [RegExp, string] = [OLD, "not this one\r"];
    const { screen, code } = await run(["passphrase", "--remove"], wrong, wrong, wrong);
    expect([code, screen]).toEqual([77, expect.stringContaining("this is not the passphrase of the root key")]);
    expect(screen.match(/Passphrase of the root key: /g)).toHaveLength(3);
    expect(screen).not.toContain("not this one");
    expect(readFileSync(root, "utf8")).toBe(before);
  });

  test("Ctrl-C, a second one that differs and one that is too short change nothing, and the terminal is as it was", async () => {
    const before = readFileSync(root, "utf8");
    expect((await run(["passphrase"], [OLD, "\x03"])).code).toBe(130);
    const differs = await run(["passphrase"], [OLD, `${first}\r`], [NEW, `${second}\r`], [AGAIN, `${first}\r`]);
    expect([differs.code, differs.screen]).toEqual([
      2,
      expect.stringContaining("the two passphrases differ; nothing was changed"),
    ]);
    const short = await run(["passphrase"], [OLD, `${first}\r`], [NEW, "short\r"]);
    expect([short.code, short.screen]).toEqual([
      2,
      expect.stringContaining("a passphrase has 8 characters or more, got 5"),
    ]);
    expect(readFileSync(root, "utf8")).toBe(before);
  });

  test("it is changed and removed; the key is the same", async () => {
    const changed = await run(["passphrase"], [OLD, `${first}\r`], [NEW, `${second}\r`], [AGAIN, `${second}\r`]);
    expect(changed.code).toBe(0);
    const removed = await run(["passphrase", "--remove"], [OLD, `${second}\r`]);
    expect([removed.code, readFileSync(root, "utf8")]).toEqual([0, seed]);
  });
});

test("scripts set, change and remove it with files, and are told what is missing", async () => {
  const [one, two] = [file("one", first), file("two", second)];
  const nobody = await home.json<ErrorJson>(["passphrase"]);
  expect([nobody.code, nobody.json.error.message]).toEqual([
    2,
    expect.stringContaining("there is no terminal to ask for the new passphrase on"),
  ]);
  const set = await home.json(["passphrase", "--new-file", one]);
  expect([set.code, set.json]).toEqual([0, { instance: "main", protected: true }]);
  const locked = await home.json<ErrorJson>(["passphrase", "--remove"]);
  expect([locked.code, locked.json.error.code]).toEqual([77, "passphrase"]);
  const env = { HUMQ_ROOT_PASSPHRASE_FILE: one };
  expect((await home.run(["passphrase", "--new-file", two], { env })).code).toBe(0);
  const wrong = await home.json<ErrorJson>(["passphrase", "--remove"], { env });
  expect([wrong.code, wrong.json.error.message]).toEqual([
    77,
    `${one} does not hold the passphrase of the root key ${root}`,
  ]);
  const removed = await home.json(["passphrase", "--remove"], { env: { HUMQ_ROOT_PASSPHRASE_FILE: two } });
  expect([removed.json, readFileSync(root, "utf8")]).toEqual([{ instance: "main", protected: false }, seed]);
});

test("humq init --passphrase never writes the bare key", async () => {
  const env = { HUMQ_ROOT_PASSPHRASE_FILE: file("init", first) };
  const args = [
    "init",
    "--instance",
    "kept",
    "--host",
    "localhost",
    "--dir",
    join(folder.path, "kept"),
    "--passphrase",
  ];
  expect((await home.run(args, { env })).code).toBe(0);
  expect(readFileSync(join(home.path, "instances/kept/root.seed"), "utf8")).toMatch(/^humq-protected /);
  expect((await home.run(["passphrase", "--instance", "kept", "--remove"], { env })).code).toBe(0);
  const nobody = await home.json<ErrorJson>([...args.slice(0, 2), "other", ...args.slice(3)]);
  expect([nobody.code, nobody.json.error.code]).toEqual([2, "usage"]);
});
