import type { AnyNode } from "acorn";
import { type Node, SLOT, type Slot } from "../format.ts";
import { inspectorSession } from "../inspect/session.ts";
import type { Slice } from "../syntax/slice.ts";
import { sameNode } from "./graph.ts";
import { bodyMembers, type ClassMember, findMember } from "./members.ts";
import type { Closure } from "./modules.ts";
import type { CodeOrigin } from "./origin.ts";
import { ownProperties } from "./properties.ts";
import { checkSlice } from "./rules.ts";
import type { Trail } from "./trail.ts";
import { captureVariables } from "./variables.ts";
import type { Walk } from "./walk.ts";

type Constructor = new () => unknown;

/**
 * A class travels as its text without what runs when it is defined: `extends` is the class it has, static fields and
 * blocks do not run again, statics are written over with the values they have.
 */
export function classNode(walk: Walk, type: Constructor, origin: CodeOrigin, slice: Slice, trail: Trail): Node {
  const { script, live } = origin;
  const module = walk.modules.of(script);
  checkSlice(script, slice, trail);
  const members = bodyMembers(origin);
  const base = baseSlot(walk, type, slice, trail);
  const statics = staticPrivates(walk, type, members, trail);
  const name = Object.getOwnPropertyDescriptor(type, "name")?.value;
  const node: Closure["node"] = {
    kind: "class",
    scope: -1,
    maker: -1,
    name: typeof name === "string" ? name : null,
    base,
    names: [],
    statics,
  };
  const closure: Closure = { fn: type, live, slice, node, instances: new Map() };
  module.closures.push(closure);
  const self = walk.graph.known(type)!;
  const fromText = (holder: object, isStatic: boolean) => (key: string | symbol, descriptor: PropertyDescriptor) => {
    let all = true;
    for (const part of ["value", "get", "set"] as const) {
      const fn: unknown = descriptor[part];
      if (typeof fn !== "function") {
        if (part === "value" && Object.hasOwn(descriptor, "value")) all = false;
        continue;
      }
      const member = findMember(members, fn, key, isStatic, part);
      if (!member) {
        all = false;
        continue;
      }
      member.liveKey = key;
      const slot = walk.graph.slot(key, trail);
      walk.graph.preset(fn, { kind: "member", owner: self, key: slot, static: isStatic, part });
      // A method that something found before its class travels by itself: then it is put back into the class.
      const made = walk.graph.nodeOf(fn);
      if (made?.kind !== "member" || !sameNode(made.owner, self)) all = false;
    }
    return all && Object.hasOwn(holder, key);
  };
  const skipStatic = fromText(type, true);
  const parts = ownProperties(walk.graph, type, trail, (key, descriptor) => {
    if (key === "length" || key === "prototype") return true;
    if (key === "name" && typeof descriptor.value === "string") return true;
    return skipStatic(key, descriptor);
  });
  const { prototype } = type as { prototype: object };
  const skipMethod = fromText(prototype, false);
  const added = Reflect.ownKeys(prototype).filter((key) => {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key)!;
    return key !== "constructor" && !skipMethod(key, descriptor);
  });
  if (added.length > 0 || !Object.isExtensible(prototype)) walk.graph.slot(prototype, trail.into(".prototype"));
  node.names = computedNames(walk, module.script.source, closure, members, trail);
  captureVariables(walk, module, closure, trail);
  walk.captureLoaders(module, closure, trail);
  return Object.assign(node, parts);
}

function baseSlot(walk: Walk, type: Constructor, slice: Slice, trail: Trail): Slot {
  const { node } = slice.syntax;
  if (!("superClass" in node) || !node.superClass) return [SLOT.undefined];
  if (Object.getPrototypeOf((type as { prototype: object }).prototype) === null) return null;
  return walk.graph.slot(Object.getPrototypeOf(type), trail.into(".extends"));
}

/** The values of `static #fields`, in the order of the text. */
function staticPrivates(walk: Walk, type: Constructor, members: readonly ClassMember[], trail: Trail): Slot[] {
  const fields = members.filter((member) => member.isStatic && member.isPrivateField);
  if (fields.length === 0) return [];
  const { privates } = inspectorSession().inspect(type);
  return fields.map(({ name }) => {
    const stored = privates.find((field) => field.name === `#${name}`);
    return walk.graph.slot(stored?.value, trail.into(`.#${name}`));
  });
}

/** The values of computed member names: they are not worked out again. */
function computedNames(
  walk: Walk,
  source: string,
  closure: Closure,
  members: readonly ClassMember[],
  trail: Trail,
): Slot[] {
  return members
    .filter((member) => member.node.type !== "StaticBlock" && member.node.computed)
    .filter((member) => !(member.isStatic && member.node.type === "PropertyDefinition"))
    .map((member) => {
      if (member.liveKey !== undefined) return walk.graph.slot(member.liveKey, trail);
      if (member.node.type === "MethodDefinition") return [SLOT.registeredSymbol, "humq.replaced"];
      const key = (member.node as { key: AnyNode }).key;
      const text = source.slice(key.start, key.end);
      return walk.graph.slot(fieldName(closure, key, text, trail), trail);
    });
}

/** The name of an instance field `[name] = ...`, which nothing keeps: read again from what it is written with. */
function fieldName(closure: Closure, key: AnyNode, text: string, trail: Trail): unknown {
  if (key.type === "Literal") return key.value;
  if (key.type === "Identifier") {
    const scope = closure.live.scopes.find(({ variables }) => Object.hasOwn(variables, key.name));
    const value = scope ? scope.variables[key.name] : constantOf(closure, key.name);
    if (typeof value === "string" || typeof value === "symbol" || typeof value === "number") return value;
  }
  const wellKnown = /^Symbol\.(\w+)$/.exec(text)?.[1];
  if (wellKnown) return Reflect.get(Symbol, wellKnown);
  throw trail.error(`has a field named [${text}]`, "Give it a plain name, or set it in the constructor.");
}

/** V8 keeps no variable that is only used while a class is defined; its declaration may say what it was. */
function constantOf(closure: Closure, name: string): unknown {
  const binding = closure.slice.syntax.scope.resolve(name);
  return binding?.kind === "const" && binding.init?.type === "Literal" ? binding.init.value : undefined;
}
