import { expect, test } from "vitest";
import { UsageError } from "../../core/errors.ts";
import { packagesFolder, setDigest } from "../../worker/packages/folders.ts";
import { parseSpecs } from "../../worker/packages/specs.ts";

test("names and ranges are taken apart and put in one order", () => {
  expect(parseSpecs(["sharp@0.34", "@scope/name@^1.2.3-beta.1", "lodash", "a@>=1 <3 || 5.x", "lodash"])).toEqual([
    { name: "@scope/name", range: "^1.2.3-beta.1" },
    { name: "a", range: ">=1 <3 || 5.x" },
    { name: "lodash", range: "latest" },
    { name: "sharp", range: "0.34" },
  ]);
});

test.each([
  "",
  "@",
  "@scope",
  "../up",
  "./here",
  "/etc",
  "file:../x",
  "a@file:/x",
  "a@npm:b@1",
  "a@git+ssh://host/x",
  "https://host/x.tgz",
  "user/repo",
  "a@user/repo",
  "github:user/repo",
  "--global",
  "-g",
  "a b",
  "a;rm -rf ~",
  "a@$(id)",
  "a@1\n2",
  "UPPER",
  ".hidden",
  "__proto__",
  "a@",
  "x".repeat(215),
])("%j is refused", (spec) => {
  expect(() => parseSpecs([spec])).toThrow(UsageError);
});

test("a package in two versions is refused", () => {
  expect(() => parseSpecs(["a@1", "a@2"])).toThrow("package a is asked for as 1 and as 2: name it once");
});

test("a set has one digest whatever its order, and another for another range", () => {
  const digest = (specs: string[]): string => setDigest(parseSpecs(specs));
  expect(digest(["a@1", "b"])).toBe(digest(["b", "a@1"]));
  expect(digest(["a@1", "b"])).not.toBe(digest(["a@2", "b"]));
  expect(digest(["a@1"])).toMatch(/^[0-9a-f]{64}$/);
});

test("a user's folder never leads elsewhere", () => {
  expect(packagesFolder("/cache", "UABC")).toBe("/cache/UABC/sets");
  expect(() => packagesFolder("/cache", "../UABC")).toThrow(UsageError);
});
