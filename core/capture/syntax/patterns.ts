import type { AnyNode, Pattern } from "acorn";

/** The names a declaration pattern binds, in source order. */
export function* boundNames(pattern: Pattern): Generator<string> {
  switch (pattern.type) {
    case "Identifier":
      yield pattern.name;
      return;
    case "ObjectPattern":
      for (const property of pattern.properties)
        yield* boundNames(property.type === "RestElement" ? property.argument : property.value);
      return;
    case "ArrayPattern":
      for (const element of pattern.elements) if (element) yield* boundNames(element);
      return;
    case "RestElement":
      yield* boundNames(pattern.argument);
      return;
    case "AssignmentPattern":
      yield* boundNames(pattern.left);
      return;
    case "MemberExpression":
      return;
  }
}

/** The direct children of a syntax node, in source order. */
export function* children(node: AnyNode): Generator<AnyNode> {
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) yield item;
    } else if (isNode(value)) yield value;
  }
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** Whether the statements begin with `"use strict"`. */
export function hasUseStrict(body: readonly AnyNode[]): boolean {
  for (const statement of body) {
    if (statement.type !== "ExpressionStatement" || !("directive" in statement) || !statement.directive) return false;
    if (statement.directive === "use strict") return true;
  }
  return false;
}
