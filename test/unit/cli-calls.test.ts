import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { argumentsOf, readCalls } from "../../cli/submit/calls.ts";
import { parametersOf } from "../../cli/submit/parameters.ts";
import type { AnyFunction } from "../../core/task.ts";
import { temporaryDirectory } from "../support/tools.ts";

class Holder {
  static method(first: number, second: number) {
    return first + second;
  }
}

const FUNCTIONS: [name: string, fn: AnyFunction, names: (string | undefined)[]][] = [
  [
    "a function",
    function f(a, b) {
      return [a, b];
    },
    ["a", "b"],
  ],
  ["an arrow", (a, b = 2, ...rest) => [a, b, rest], ["a", "b"]],
  ["an async arrow with one name", async (x) => x, ["x"]],
  [
    "a generator",
    function* g(n) {
      yield n;
    },
    ["n"],
  ],
  ["a static method", Holder.method, ["first", "second"]],
  [
    "a method of an object",
    {
      async run(a: number) {
        return a;
      },
    }.run,
    ["a"],
  ],
  ["one parameter of two taken apart", (a, { b }) => [a, b], ["a", undefined]],
  ["none", () => 1, []],
];

test.each(FUNCTIONS)("parameters of %s", (_name, fn, names) => {
  expect(parametersOf(fn)).toEqual({ kind: "names", names });
});

test("parameters of others", () => {
  expect(parametersOf(({ a, b }) => a + b)).toEqual({ kind: "object" });
  expect(parametersOf(({ a } = { a: 1 }) => a)).toEqual({ kind: "object" });
  expect(parametersOf(Math.max)).toBeUndefined();
  expect(parametersOf(Holder.method.bind(null))).toBeUndefined();
});

describe("a line", () => {
  const parameters = parametersOf((samples, seed, mode) => [samples, seed, mode]);

  test("as an array is the arguments in order", () => {
    expect(argumentsOf('[1, {"a": 2}]', undefined)).toEqual([1, { a: 2 }]);
    expect(argumentsOf("[]", parameters)).toEqual([]);
  });

  test("as an object is the arguments by name; those between that are not given are undefined", () => {
    expect(argumentsOf('{"seed": 2, "samples": 1}', parameters)).toEqual([1, 2]);
    expect(argumentsOf('{"mode": "x"}', parameters)).toEqual([undefined, undefined, "x"]);
    expect(argumentsOf("{}", parameters)).toEqual([]);
  });

  test("as an object goes whole to a function that takes it apart", () => {
    expect(argumentsOf('{"any": 1}', { kind: "object" })).toEqual([{ any: 1 }]);
  });

  test.each([
    [
      '{"sede": 2}',
      /^the function has no parameter "sede" \(it has: samples, seed, mode\)\. Did you mean seed\? To pass the object itself, put it into an array: \[\{\.\.\.\}\]$/,
    ],
    ["3", /^expected an array or an object, got 3\. For one argument: \[3\]$/],
    ["[1", /^not JSON \(.*\)$/],
    [
      "[9007199254740993]",
      /^9007199254740993 does not fit a number exactly: give it as a string, and make it a BigInt in the task$/,
    ],
  ])("%s is refused", (line, message) => {
    expect(() => argumentsOf(line, parameters)).toThrow(message);
  });

  test.each(['["9007199254740993"]', "[9007199254740992]", "[1.00000000000000000001]", '["\\"", 12]'])(
    "%s is taken",
    (line) => {
      expect(argumentsOf(line, parameters)).toEqual(JSON.parse(line));
    },
  );
});

async function callsIn(path: string): Promise<unknown[][]> {
  const calls: unknown[][] = [];
  for await (const call of readCalls(path, undefined)) calls.push(call);
  return calls;
}

describe("a file", () => {
  const write = (directory: { path: string }, content: string | Uint8Array) => {
    const path = join(directory.path, "calls.jsonl");
    writeFileSync(path, content);
    return path;
  };

  test("gives its calls in order; empty lines and the last line feed count for nothing", async () => {
    using directory = temporaryDirectory();
    const path = write(directory, '[1]\r\n\n  \n["a\u2028b"]\n[3]');
    expect(await callsIn(path)).toEqual([[1], ["a\u2028b"], [3]]);
  });

  test("keeps characters whole that lie across the blocks it is read in", async () => {
    using directory = temporaryDirectory();
    const long = "ä€😀".repeat(30_000);
    const path = write(directory, `${JSON.stringify([long])}\n`);
    expect(await callsIn(path)).toEqual([[long]]);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["a bad line", "[1]\n\n[2\n[3]\n", /^.*calls\.jsonl, line 3: not JSON/],
    ["bytes that are no text", Uint8Array.of(0x5b, 0xff, 0x5d), /^.*calls\.jsonl, after line 0: not UTF-8$/],
  ])("with %s is refused with its place", async (_name, content, message) => {
    using directory = temporaryDirectory();
    await expect(callsIn(write(directory, content))).rejects.toThrow(message);
  });

  test("that is missing is refused", async () => {
    await expect(callsIn("/no/such/file")).rejects.toThrow(/^cannot read \/no\/such\/file: ENOENT/);
  });
});
