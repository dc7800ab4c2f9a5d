import { describe, expect, test } from "vitest";
import { indicesOf, parseCalls, rangeAt, rangesOf } from "../../core/control/calls.ts";

describe("lists of calls", () => {
  test.each<[list: string, indices: number[]]>([
    ["3", [3]],
    ["3,7-9", [3, 7, 8, 9]],
    [" 9 , 3 - 4,4-5 ", [3, 4, 5, 9]],
    ["0-9", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ])("%j", (list, indices) => {
    expect([...indicesOf(parseCalls(list, 10))]).toEqual(indices);
  });

  test("indices, in any order and repeated", () => {
    expect(parseCalls(new Set([5, 1, 2, 0]), 10)).toEqual([
      { first: 0, last: 2 },
      { first: 5, last: 5 },
    ]);
    expect(parseCalls([4, 4, 3], 10)).toEqual([{ first: 3, last: 4 }]);
  });

  test.each<[calls: string | number[], message: string]>([
    ["", 'calls: expected numbers and ranges such as 3,7-20, got "" in ""'],
    ["3,x", 'calls: expected numbers and ranges such as 3,7-20, got "x" in "3,x"'],
    ["1.5", 'calls: expected numbers and ranges such as 3,7-20, got "1.5" in "1.5"'],
    ["-3", 'calls: expected numbers and ranges such as 3,7-20, got "-3" in "-3"'],
    ["9-7", "calls: the range 9-7 ends before it begins; write 7-9"],
    ["3,7-10", "calls: the tag has calls 0 to 9, got 10"],
    [[1.5], "calls: the tag has calls 0 to 9, got 1.5"],
    [[-1], "calls: the tag has calls 0 to 9, got -1"],
  ])("%j is refused", (calls, message) => {
    expect(() => parseCalls(calls, 10)).toThrow(message);
  });

  test("the range that a call lies in", () => {
    const ranges = rangesOf([1, 2, 3, 7, 9]);
    expect([0, 1, 3, 4, 7, 8, 9, 10].map((index) => rangeAt(ranges, index)?.first)).toEqual([
      undefined,
      1,
      1,
      undefined,
      7,
      undefined,
      9,
      undefined,
    ]);
  });
});
