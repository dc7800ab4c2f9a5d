import { expect, test } from "vitest";
import { failureOf, InterruptedError } from "../../cli/failure.ts";
import { OutputClosed } from "../../cli/output.ts";
import { table } from "../../cli/table.ts";
import { oneLine, printable, printableJson } from "../../cli/terminal.ts";
import { ArchiveError, UsageError } from "../../core/errors.ts";

const HOSTILE = "a\u001b[2Jb\u009bc\rd\u202ee\u0007";

test("what a terminal would act on is shown, not sent; lines, tabs and other letters stay", () => {
  expect(printable(HOSTILE)).toBe("a\\u001b[2Jb\\u009bc\\u000dd\\u202ee\\u0007");
  expect(printable("größe\t日本\nnext")).toBe("größe\t日本\nnext");
  expect(oneLine("two\nlines")).toBe("two\\nlines");
});

test("JSON stays the same value", () => {
  const json = printableJson(JSON.stringify({ [HOSTILE]: [HOSTILE] }));
  expect(json).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  expect(JSON.parse(json)).toEqual({ [HOSTILE]: [HOSTILE] });
});

test("a cell cannot break its table", () => {
  expect(
    table(
      ["NAME", "N"],
      [
        ["x\ny", 1],
        ["longer name", 22],
      ],
    ),
  ).toBe(["NAME         N", "x\\ny         1", "longer name  22"].join("\n"));
});

class Foreign {
  static readonly HumqError = class HumqError extends Error {
    code = "instance";
  };
}

test.each<[string, unknown, { exitCode: number; code?: string; message?: RegExp }]>([
  ["wrong usage", new UsageError("no"), { exitCode: 2, code: "usage", message: /^no$/ }],
  [
    "options, by their flags",
    new UsageError("submit option timeLimit: expected more than 0; submit option packages: x"),
    { exitCode: 2, code: "usage", message: /^--time-limit: expected more than 0; --package: x$/ },
  ],
  ["another error of ours", new ArchiveError("no"), { exitCode: 1, code: "archive", message: /^no$/ }],
  ["one of another copy of humq", new Foreign.HumqError("no"), { exitCode: 1, code: "instance", message: /^no$/ }],
  ["Ctrl-C", new InterruptedError("stopped"), { exitCode: 130, code: "interrupted", message: /^stopped$/ }],
  ["a reader that went away", new OutputClosed(), { exitCode: 0 }],
  [
    "a bug",
    new TypeError("x"),
    { exitCode: 70, code: "bug", message: /^TypeError: x\n {4}at [\s\S]*This is a bug in humq \d/ },
  ],
  ["something thrown that is no error", "text", { exitCode: 70, code: "bug", message: /^text\n\nThis is a bug/ }],
])("the exit code and words for %s", (_name, error, { exitCode, code, message }) => {
  const failure = failureOf(error);
  expect([failure.exitCode, failure.code]).toEqual([exitCode, code]);
  if (message === undefined) expect(failure.message).toBeUndefined();
  else expect(failure.message).toMatch(message);
});
