import { sliceOf } from "../syntax/slice.ts";
import type { CodeOrigin } from "./origin.ts";
import type { Walk } from "./walk.ts";

/**
 * Compilers turn an exported variable into a property with a getter, and pass it on through further getters:
 * `() => counter`, `() => from[key]`, `function () { return other.counter }`.
 *
 * @returns the getter that gives the variable itself, or `null` when this is no such getter or a plain value is behind it
 */
export function liveGetter(walk: Walk, getter: object, hops = 20): object | null {
  const origin = walk.origins.of(getter);
  if (origin.kind !== "user" || hops === 0) return null;
  const { references, free } = sliceOf(origin.script.analysis, origin.syntax);
  const { node } = origin.syntax;
  const text = origin.script.source.slice(node.start, node.end);
  if (references.some((reference) => reference.called) || references.length !== free.length) return null;
  if (references.length === 1) return (text.match(/[.[]/g)?.length ?? 0) <= 1 ? getter : null;
  if (references.length !== 2 || !/=>\s*[\w$]+\[[\w$]+\]$/.test(text)) return null;
  const [from, key] = references.map(({ name }) => variable(origin, name));
  if (typeof from !== "object" || from === null || typeof key !== "string") return null;
  const inner = Object.getOwnPropertyDescriptor(from, key)?.get;
  return inner ? liveGetter(walk, inner, hops - 1) : null;
}

function variable(origin: CodeOrigin, name: string): unknown {
  return origin.live.scopes.find(({ variables }) => Object.hasOwn(variables, name))?.variables[name];
}
