import { expect, test } from "vitest";
import { table } from "../../cli/table.ts";
import { oneLine, printable, printableJson } from "../../cli/terminal.ts";

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
