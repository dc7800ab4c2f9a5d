import type { Node, Slot } from "../format.ts";
import { inspectorSession } from "../inspect/session.ts";
import { type Slice, sliceOf } from "../syntax/slice.ts";
import { classNode } from "./classes.ts";
import { builtinPath, intrinsicPath } from "./intrinsics.ts";
import { memberNode } from "./members.ts";
import type { Closure } from "./modules.ts";
import type { CodeOrigin } from "./origin.ts";
import { ownProperties } from "./properties.ts";
import { checkSlice } from "./rules.ts";
import type { Trail } from "./trail.ts";
import { captureVariables } from "./variables.ts";
import type { Walk } from "./walk.ts";

/** Writes down a function or class. */
export function functionNode(walk: Walk, fn: object, trail: Trail): Node {
  const origin = walk.origins.of(fn);
  const name = nameOf(fn);
  switch (origin.kind) {
    case "global":
      return { kind: "global", path: intrinsicPath(fn, "members")! };
    case "builtin":
      return { kind: "builtin", ...builtinPath(fn, "members")! };
    case "bound":
      return boundNode(walk, fn, trail);
    case "internal":
      throw trail.error(
        `is the function "${name}" of Node's own, which no module exports`,
        "Call what makes it inside the function.",
      );
    case "native":
      throw trail.error(
        `is ${name === "" ? "a native function" : `the native function "${name}"`}, which has no code that could travel`,
        "Use it inside the function by way of the module it comes from, or wrap what it does in a function.",
      );
    case "humq":
      throw trail.error(
        `is "${name}", a part of humq`,
        "Tasks cannot submit tasks or use tags at this time: pass plain values instead.",
      );
    case "package": {
      const node = walk.packages.ofFunction(fn, origin);
      return node ?? codeNode(walk, fn, origin, trail);
    }
    case "user":
      return codeNode(walk, fn, origin, trail);
  }
}

/** A function that travels as code, with the variables it uses. */
function codeNode(walk: Walk, fn: object, origin: CodeOrigin, trail: Trail): Node {
  const { script, syntax, live } = origin;
  const slice = sliceOf(script.analysis, syntax);
  const inner = walk.inside(fn, origin, trail);
  if (syntax.node.type === "ClassDeclaration" || syntax.node.type === "ClassExpression")
    return classNode(walk, fn as new () => unknown, origin, slice, inner);
  const needsClass = slice.usesSuper || slice.outerPrivates.length > 0;
  if (syntax.memberOf && needsClass) return memberNode(walk, fn, origin, inner);
  const module = walk.modules.of(script);
  checkSlice(script, slice, inner);
  const home = slice.usesSuper ? homeSlot(walk, fn, inner) : null;
  const node: Closure["node"] = { kind: "function", scope: -1, maker: -1, name: nameOf(fn), home };
  const closure: Closure = { fn, live, slice, node, instances: new Map() };
  module.closures.push(closure);
  captureVariables(walk, module, closure, inner);
  walk.captureLoaders(module, closure, inner);
  return Object.assign(node, functionParts(walk, fn, slice, inner));
}

/** Own properties and prototype of a function, where they are not what its text gives. */
function functionParts(walk: Walk, fn: object, slice: Slice, trail: Trail): Partial<Node> {
  const parts: Partial<Node> = ownProperties(walk.graph, fn, trail, (key, descriptor) => {
    if (key === "length" || key === "arguments" || key === "caller") return true;
    if (key === "name") return typeof descriptor.value === "string";
    return key === "prototype" && isOwnPrototype(fn, descriptor.value);
  });
  const prototype: unknown = Object.getOwnPropertyDescriptor(fn, "prototype")?.value;
  if (isOwnPrototype(fn, prototype) && hasAdditions(prototype)) walk.graph.slot(prototype, trail.into(".prototype"));
  const parent: object | null = Object.getPrototypeOf(fn);
  if (parent !== defaultParent(slice)) parts.prototype = walk.graph.slot(parent, trail.into(".[[Prototype]]"));
  return parts;
}

/** The prototype object that a function is born with, or that a generator function has. */
function isOwnPrototype(fn: object, prototype: unknown): prototype is object {
  if (typeof prototype !== "object" || prototype === null) return false;
  const back = Object.getOwnPropertyDescriptor(prototype, "constructor");
  return back ? back.value === fn : GENERATORS.has(Object.getPrototypeOf(prototype));
}

function hasAdditions(prototype: object): boolean {
  const parent = Object.getPrototypeOf(prototype);
  if (GENERATORS.has(parent)) return Reflect.ownKeys(prototype).length > 0;
  return Reflect.ownKeys(prototype).length > 1 || parent !== Object.prototype || !Object.isExtensible(prototype);
}

const generatorFunction = Object.getPrototypeOf(function* () {}) as { prototype: object };
const asyncGeneratorFunction = Object.getPrototypeOf(async function* () {}) as { prototype: object };
const asyncFunction = Object.getPrototypeOf(async () => {}) as object;
const GENERATORS: ReadonlySet<object> = new Set([generatorFunction.prototype, asyncGeneratorFunction.prototype]);

function defaultParent(slice: Slice): object {
  const { node } = slice.syntax;
  const isAsync = "async" in node && node.async === true;
  const isGenerator = "generator" in node && node.generator === true;
  if (isGenerator) return isAsync ? asyncGeneratorFunction : generatorFunction;
  return isAsync ? asyncFunction : Function.prototype;
}

/** The object a method with `super` belongs to. */
function homeSlot(walk: Walk, fn: object, trail: Trail): Slot {
  const home = walk.graph.homes.get(fn);
  if (!home)
    throw trail.error(
      "uses super, and the object it is a method of is not captured with it",
      "Capture the object and call the method on it.",
    );
  return walk.graph.slot(Object.getPrototypeOf(home), trail.into(".super"));
}

function boundNode(walk: Walk, fn: object, trail: Trail): Node {
  const { slots } = inspectorSession().inspect(fn);
  const target = walk.graph.slot(slots.get("[[TargetFunction]]"), trail.into(".[[TargetFunction]]"));
  const self = walk.graph.slot(slots.get("[[BoundThis]]"), trail.into(".[[BoundThis]]"));
  const bound = Array.from(slots.get("[[BoundArgs]]") as ArrayLike<unknown>);
  const args = bound.map((value, i) => walk.graph.slot(value, trail.into(`.[[BoundArgs]][${i}]`)));
  const own = ownProperties(walk.graph, fn, trail, (key) => key === "length" || key === "name");
  return { kind: "bound", target, self, arguments: args, ...own };
}

/** The name as V8 gave it; a class may have a static member of that name. */
export function nameOf(fn: object): string {
  const name: unknown = Object.getOwnPropertyDescriptor(fn, "name")?.value;
  return typeof name === "string" ? name : "";
}
