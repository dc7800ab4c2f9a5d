import { expect, test } from "vitest";
import { mayRun } from "../../worker/isolation/isolation.ts";

test.each([
  ["bubblewrap", false, false, true],
  ["bubblewrap", true, false, true],
  ["none", true, false, true],
  ["none", false, false, false],
  ["none", false, true, true],
] as const)("isolation %s, own call %s, --unsafe %s: runs %s", (isolation, sameOwner, unsafe, expected) => {
  expect(mayRun({ isolation, sameOwner, unsafe })).toBe(expected);
});
