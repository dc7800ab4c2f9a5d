import { expect, test } from "vitest";
import { compareVersions, isNewEnough, parseVersion } from "../../core/instance/server/version.ts";

test.each([
  ["nats-server: v2.15.1\n", "2.15.1"],
  ["nats-server: v2.15.0-RC.1", "2.15.0-RC.1"],
  ["nats-server: v3.0.0", "3.0.0"],
  ["nothing of the kind 2.15", undefined],
])("reads the version out of %j", (text, version) => {
  expect(parseVersion(text)).toBe(version);
});

test.each([
  ["2.14.9", false],
  ["2.15.0-RC.1", false],
  ["2.15.0", true],
  ["2.15.2", true],
  ["2.100.0", true],
  ["3.0.0", true],
  ["1.99.99", false],
])("%s is new enough: %s", (version, enough) => {
  expect(isNewEnough(version)).toBe(enough);
});

test("versions sort by number, not by letter", () => {
  expect(["2.15.10", "2.9.0", "2.15.2", "2.15.2-RC.1"].sort(compareVersions)).toEqual([
    "2.9.0",
    "2.15.2-RC.1",
    "2.15.2",
    "2.15.10",
  ]);
});
