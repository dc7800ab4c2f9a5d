/** A root key under a passphrase is replaced by one under the same passphrase. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startEmbedded } from "../../core/instance/up.ts";
import { Home } from "../support/cli.ts";
import { temporaryDirectory } from "../support/tools.ts";

const folder = temporaryDirectory("humq rotation ");
const home = new Home();
const before = process.env.HUMQ_HOME;
afterAll(() => {
  if (before === undefined) delete process.env.HUMQ_HOME;
  else process.env.HUMQ_HOME = before;
  home[Symbol.dispose]();
  folder[Symbol.dispose]();
});

test("a protected root key is replaced only with its passphrase, by one that the same passphrase protects", async () => {
  process.env.HUMQ_HOME = home.path;
  await (await startEmbedded({ worker: false })).stop();
  const file = join(folder.path, "passphrase");
  writeFileSync(file, "correct horse battery\n", { mode: 0o600 });
  expect((await home.run(["passphrase", "--new-file", file])).code).toBe(0);
  const root = join(home.path, "instances", "local", "root.seed");
  const old = readFileSync(root, "utf8");

  const locked = await home.run(["rotate", "--yes"]);
  expect([locked.code, readFileSync(root, "utf8")]).toEqual([77, old]);

  const env = { HUMQ_ROOT_PASSPHRASE_FILE: file };
  expect(await home.run(["rotate", "--yes"], { env })).toMatchObject({ code: 0 });
  const next = readFileSync(root, "utf8");
  expect(next).toMatch(/^humq-protected [\w-]+ [\w-]+\n$/);
  expect(next).not.toBe(old);
  expect(readFileSync(join(home.path, "instances", "local-old", "root.seed"), "utf8")).toBe(old);
  const removed = await home.json(["passphrase", "--remove"], { env });
  expect(removed.json).toEqual({ instance: "local", protected: false });
});
