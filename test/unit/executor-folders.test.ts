import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freshFolders } from "../../worker/executor/child/folders.ts";

const start = process.cwd();
let root: string;
let folder: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "humq-folders-")));
  folder = join(root, "work");
  freshFolders([folder]);
});

afterEach(() => {
  process.chdir(start);
  rmSync(root, { recursive: true, force: true });
});

test("a folder is made, entered and empty", () => {
  expect(readdirSync(folder)).toEqual([]);
  expect(process.cwd()).toBe(folder);
});

test.each([
  ["a file", () => writeFileSync("a", "x")],
  ["a hidden file that is gone again", () => rmSync("b", { force: writeFileSync("b", "") === undefined })],
  ["a tree without permissions", () => chmodSync(mkdirSync("c/d", { recursive: true })!, 0)],
  ["a link to elsewhere", () => symlinkSync("/usr", "link")],
  ["a link that leads nowhere", () => symlinkSync("/nowhere", "dangling")],
  ["the folder itself removed", () => rmdirSync(folder)],
  ["another working directory", () => process.chdir("/")],
  ["a folder without permissions", () => chmodSync(folder, 0o100)],
])("%s leaves no trace", (_what, act) => {
  act();
  freshFolders([folder]);
  expect(readdirSync(folder)).toEqual([]);
  expect(process.cwd()).toBe(folder);
  writeFileSync("usable", "x");
});

test("what a link points to is left alone", () => {
  const outside = join(root, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "precious"), "x");
  symlinkSync(outside, "link");
  freshFolders([folder]);
  expect(readdirSync(outside)).toEqual(["precious"]);
});
