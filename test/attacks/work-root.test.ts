/** The folder for running calls lies in /tmp, where every account of the machine may make folders. */
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeWorkRoot, WorkRootError } from "../../worker/executor/work-root.ts";
import { temporaryDirectory } from "../support/tools.ts";

test("a folder that others could write to, a link or a file is refused", () => {
  using directory = temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  makeWorkRoot(at("own"));
  expect(statSync(at("own")).mode & 0o777).toBe(0o700);
  makeWorkRoot(at("own"));
  symlinkSync(at("own"), at("link"));
  writeFileSync(at("file"), "");
  mkdirSync(at("open"));
  chmodSync(at("open"), 0o777);
  for (const [name, why] of [
    ["link", "is no folder"],
    ["open", "can be written to by others"],
  ] as const) {
    expect(() => makeWorkRoot(at(name))).toThrow(WorkRootError);
    expect(() => makeWorkRoot(at(name))).toThrow(why);
  }
  expect(() => makeWorkRoot(at("file"))).toThrow(/file/);
});
