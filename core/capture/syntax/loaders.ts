import type { AnyNode, Pattern, Program } from "acorn";
import type { DynamicImport } from "./scope.ts";

/** The functions `import`, `require` and what vitest writes in their place, by name. */
export const LOADERS: Readonly<Record<string, DynamicImport["kind"]>> = {
  require: "require",
  __vite_ssr_dynamic_import__: "import",
  __vi_import__: "import",
};

/** The text of a string literal, or of a template without expressions. */
export function plainString(node: AnyNode): string | null {
  if (node.type === "Literal" && typeof node.value === "string") return node.value;
  if (node.type === "TemplateLiteral" && node.expressions.length === 0) return node.quasis[0]?.value.cooked ?? null;
  return null;
}

/** The call in `await call`. */
export function loadedBy(node: AnyNode): AnyNode {
  return node.type === "AwaitExpression" ? node.argument : node;
}

/** The keys of `{ a, b: c }`; `null` where they are not all plain. */
export function patternKeys(pattern: Pattern): string[] | null {
  if (pattern.type !== "ObjectPattern") return null;
  const keys: string[] = [];
  for (const property of pattern.properties) {
    if (property.type === "RestElement" || property.computed || property.key.type !== "Identifier") return null;
    keys.push(property.key.name);
  }
  return keys;
}

/** vitest evaluates a module as one function expression whose body is the module. */
export function moduleWrapper(program: Program): AnyNode | null {
  const statements = program.body.filter((s) => !("directive" in s && s.directive));
  const only = statements[0];
  if (statements.length !== 1 || only?.type !== "ExpressionStatement") return null;
  const { expression } = only;
  if (expression.type !== "FunctionExpression" && expression.type !== "ArrowFunctionExpression") return null;
  const viteParameter = expression.params.some((p) => p.type === "Identifier" && p.name.startsWith("__vite_ssr_"));
  return viteParameter ? expression : null;
}
