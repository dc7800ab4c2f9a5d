/** The names of a function's parameters, for arguments that are given by name. */
import { type Expression, type Function as FunctionNode, type Pattern, parseExpressionAt } from "acorn";
import type { AnyFunction } from "../../core/task.ts";

export type Parameters =
  /** One parameter that is taken apart, `({ a, b }) => ...`: an object is the argument itself. */
  | { kind: "object" }
  /** By position; undefined for one without a name. A rest parameter is none of them. */
  | { kind: "names"; names: (string | undefined)[] };

function functionIn(expression: Expression): FunctionNode | undefined {
  switch (expression.type) {
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return expression;
    case "ObjectExpression": {
      const [property] = expression.properties;
      return property?.type === "Property" ? functionIn(property.value) : undefined;
    }
    default:
      return undefined;
  }
}

function parseFunction(source: string): FunctionNode | undefined {
  // As an expression, else as a method.
  for (const text of [`(${source})`, `({${source}})`]) {
    try {
      const found = functionIn(parseExpressionAt(text, 0, { ecmaVersion: "latest" }));
      if (found !== undefined) return found;
    } catch {
      // the other form, then
    }
  }
  return undefined;
}

function nameOf(pattern: Pattern): string | undefined {
  if (pattern.type === "Identifier") return pattern.name;
  return pattern.type === "AssignmentPattern" ? nameOf(pattern.left) : undefined;
}

function isTakenApart(pattern: Pattern): boolean {
  return pattern.type === "ObjectPattern" || (pattern.type === "AssignmentPattern" && isTakenApart(pattern.left));
}

/** Undefined for a function whose code cannot be seen (native, bound). */
export function parametersOf(fn: AnyFunction): Parameters | undefined {
  const parsed = parseFunction(Function.prototype.toString.call(fn));
  if (parsed === undefined) return undefined;
  const { params } = parsed;
  if (params.length === 1 && isTakenApart(params[0]!)) return { kind: "object" };
  return { kind: "names", names: params.filter((param) => param.type !== "RestElement").map(nameOf) };
}
