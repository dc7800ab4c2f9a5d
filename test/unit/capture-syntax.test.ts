import { describe, expect, test } from "vitest";
import { analyse } from "../../core/capture/syntax/analyse.ts";
import { parametersOf } from "../../core/capture/syntax/parameters.ts";
import { parseScript } from "../../core/capture/syntax/parse.ts";
import type { FunctionSyntax } from "../../core/capture/syntax/scope.ts";
import { sliceOf } from "../../core/capture/syntax/slice.ts";
import { CaptureError } from "../../core/errors.ts";

function analysed(source: string, isModule = true) {
  return analyse(parseScript(source, isModule, "test.js"), isModule);
}

/** The function or class whose text begins with `// here` before it, or the first one. */
function target(source: string, isModule = true) {
  const analysis = analysed(source, isModule);
  const after = Math.max(source.indexOf("/*here*/"), 0);
  const syntax = analysis.functions.find((fn) => fn.node.start >= after) as FunctionSyntax;
  return sliceOf(analysis, syntax);
}

const free = (source: string, isModule = true) => target(source, isModule).free.map(({ name }) => name);

describe("free variables", () => {
  const cases: [what: string, source: string, expected: string[]][] = [
    ["names of the module", "const a = 1; /*here*/ () => a + b", ["a", "b"]],
    [
      "parameters and locals are bound",
      "/*here*/ (a, { b, c: [d] = e }, ...f) => { const g = h; return a + b + d + f + g; }",
      ["e", "h"],
    ],
    [
      "var is hoisted out of blocks",
      "/*here*/ function f() { if (x) { var a = 1; let b = 2; } return a + b; }",
      ["x", "b"],
    ],
    [
      "functions in blocks are hoisted in sloppy code only",
      "/*here*/ function f() { { function g() {} } return g; }",
      ["g"],
    ],
    [
      "keys and labels are no names",
      "/*here*/ () => { l: for (;;) { break l; } return { a: 1, b() {}, [c]: d, e }.f; }",
      ["c", "d", "e"],
    ],
    ["a declaration's own name is the module's", "/*here*/ function f() { return f; }", ["f"]],
    ["an expression's own name is its own", "const f = /*here*/ function g() { return g + f; };", ["f"]],
    ["a class's own name is its own", "const C = /*here*/ class D { m() { return D + C; } };", ["C"]],
    [
      "catch, for and class scopes",
      "/*here*/ () => { try {} catch ({ m }) { m; } for (const i of j) i; class K { static s = K; } return m; }",
      ["j", "m"],
    ],
    ["arguments of an arrow come from outside", "function f() { return /*here*/ () => arguments; }", ["arguments"]],
    ["arguments of a function are its own", "/*here*/ function f() { return arguments; }", []],
    [
      "assignments",
      "/*here*/ () => { ({ a, b: c.d, ...e } = f); [g = h] = []; i++; for (j of k); }",
      ["a", "c", "e", "f", "g", "h", "i", "j", "k"],
    ],
    [
      "import.meta and private names are no names",
      "class A { #p; m() { /*here*/ (() => import.meta.url + this.#p); } }",
      [],
    ],
    [
      "static initialisers and the base do not count",
      "/*here*/ class A extends B { static x = c; static { d(); } [e]() {} y = f; }",
      ["f"],
    ],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    ["templates, tags and optional chains", "/*here*/ () => tag`${a}` + b?.c?.[d]", ["tag", "a", "b", "d"]],
    ["using declarations", "/*here*/ () => { using a = b(); return a; }", ["b"]],
  ];
  test.each(cases)("%s", (_what, source, expected) => {
    expect(free(source)).toEqual(expected);
  });

  test("functions in blocks are visible around them in sloppy code", () => {
    expect(free("/*here*/ function f() { { function g() {} } return g; }", false)).toEqual([]);
  });
});

test("what a slice takes from around it besides names", () => {
  const arrow = target("class A { m() { return /*here*/ () => [this, super.m, new.target, () => this]; } }");
  expect(arrow.outerContext.map((use) => use.kind)).toEqual(["this", "super", "new.target", "this"]);
  const own = target("/*here*/ function f() { return [this, () => this, new.target]; }");
  expect([own.outerContext, own.usesThis]).toEqual([[], true]);
  expect(target("/*here*/ () => eval('a')").eval).not.toBeNull();
  expect(target("/*here*/ (eval) => eval('a')", false).eval).toBeNull();
  expect(target("/*here*/ () => (0, eval)('a')").eval).toBeNull();
});

test("modules that are loaded inside functions, and what is taken out of them", () => {
  const { imports } = target(
    "/*here*/ async () => { const { a, b: c } = await import('x'); (await import('y')).z; const w = require('w').v; import(n); return require('u'); }",
    false,
  );
  expect(imports.map(({ kind, specifier, members }) => [kind, specifier, members])).toEqual([
    ["import", "x", ["a", "b"]],
    ["import", "y", ["z"]],
    ["require", "w", ["v"]],
    ["import", null, null],
    ["require", "u", null],
  ]);
});

test("imports and exports", () => {
  const { root, exports, exportAll } = analysed(
    "import d, { a as b, 'x y' as c } from 'm'; import * as n from 'o'; export { b as e }; export * from 'p'; export * as q from 'r'; export const { s, t: [u] } = n; export default class V {}",
  );
  expect(
    [...root.bindings.values()].flatMap(({ name, from }) => (from ? [[name, from.specifier, from.imported]] : [])),
  ).toEqual([
    ["d", "m", "default"],
    ["b", "m", "a"],
    ["c", "m", "x y"],
    ["n", "o", "*"],
  ]);
  expect(Object.fromEntries(exports)).toEqual({
    e: { local: "b" },
    q: { specifier: "r", imported: "*" },
    s: { local: "s" },
    u: { local: "u" },
    default: { local: "V" },
  });
  expect(exportAll).toEqual(["p"]);
});

test("parameters have names unless they are patterns or rest", () => {
  const { syntax } = target("/*here*/ (a, b = 1, { c }, [d] = [], ...e) => 1");
  expect(parametersOf(syntax.node)).toEqual(["a", "b", null, null, null]);
});

test("syntax that the parser does not know is an error that says so", () => {
  expect(() => parseScript("const = 1", true, "/x/y.js")).toThrow(CaptureError);
  expect(() => parseScript("const = 1", true, "/x/y.js")).toThrow(
    /^the code of \/x\/y\.js cannot be parsed: Unexpected token \(1:6\)\. Compile it/,
  );
});
