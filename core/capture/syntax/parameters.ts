import type { AnyNode } from "acorn";

/** Names of a function's parameters, in order; `null` for patterns and the rest parameter, which have no name. */
export function parametersOf(node: AnyNode): (string | null)[] {
  if (!("params" in node)) return [];
  return node.params.map((param) => {
    const target = param.type === "AssignmentPattern" ? param.left : param;
    return target.type === "Identifier" ? target.name : null;
  });
}
