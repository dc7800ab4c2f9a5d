import { types } from "node:util";
import type { AnyNode, MethodDefinition, PropertyDefinition, StaticBlock } from "acorn";
import type { Node } from "../format.ts";
import { inspectorSession } from "../inspect/session.ts";
import type { CodeOrigin } from "./origin.ts";
import type { Trail } from "./trail.ts";
import type { Walk } from "./walk.ts";

/** A member of a class body. */
export interface ClassMember {
  readonly node: MethodDefinition | PropertyDefinition | StaticBlock;
  readonly isStatic: boolean;
  readonly isPrivate: boolean;
  readonly isPrivateField: boolean;
  /** Its plain name; `null` for computed ones. */
  readonly name: string | null;
  readonly part: "value" | "get" | "set";
  /** What `toString()` of the method gives. */
  readonly text: string;
  /** The key it was found under, for computed names. */
  liveKey?: string | symbol;
}

/** The members of a class, in the order of its text. */
export function bodyMembers(origin: CodeOrigin): ClassMember[] {
  const { node } = origin.syntax;
  if (node.type !== "ClassDeclaration" && node.type !== "ClassExpression") return [];
  return node.body.body.map((member) => describeMember(member, origin.script.source));
}

function describeMember(node: ClassMember["node"], source: string): ClassMember {
  if (node.type === "StaticBlock")
    return { node, isStatic: true, isPrivate: false, isPrivateField: false, name: null, part: "value", text: "" };
  const isPrivate = node.key.type === "PrivateIdentifier";
  const isMethod = node.type === "MethodDefinition";
  const text = source.slice(node.start, node.end);
  return {
    node,
    isStatic: node.static,
    isPrivate,
    isPrivateField: isPrivate && !isMethod,
    name: node.computed ? null : plainName(node.key),
    part: isMethod && (node.kind === "get" || node.kind === "set") ? node.kind : "value",
    text: isMethod && node.kind !== "constructor" ? (node.static ? text.replace(/^static\s+/, "") : text) : "",
  };
}

function plainName(key: AnyNode): string | null {
  if (key.type === "Identifier" || key.type === "PrivateIdentifier") return key.name;
  return key.type === "Literal" ? String(key.value) : null;
}

/** The member of the text that made a method or accessor. */
export function findMember(
  members: readonly ClassMember[],
  fn: object,
  key: string | symbol,
  isStatic: boolean,
  part: ClassMember["part"],
): ClassMember | undefined {
  const text = Function.prototype.toString.call(fn);
  return members.find(
    (member) =>
      member.isStatic === isStatic &&
      !member.isPrivate &&
      member.part === part &&
      member.text === text &&
      (member.name === null ? member.liveKey === undefined || member.liveKey === key : member.name === key),
  );
}

/** A method found without its class: the class is looked for among the variables the method sees. */
export function memberNode(walk: Walk, fn: object, origin: CodeOrigin, trail: Trail): Node {
  const owner = owningClass(walk, fn, origin);
  if (!owner)
    throw trail.error(
      "uses super or a private name, and its class was not found",
      "Give the class a name in the module, or call the method on a captured instance.",
    );
  const slot = walk.graph.slot(owner.type, trail);
  const key = walk.graph.slot(owner.key, trail);
  return { kind: "member", owner: slot, key, static: owner.isStatic, part: owner.part };
}

interface Owner {
  readonly type: object;
  readonly key: string | symbol;
  readonly isStatic: boolean;
  readonly part: ClassMember["part"];
}

const TASK = Symbol.for("humq.task");

/**
 * The class whose text a method is in: looked for among the variables around the method, then, since V8 keeps no variable
 * that no function uses, among all classes that are alive (some 20 ms).
 */
export function owningClass(walk: Walk, fn: object, origin: CodeOrigin): Owner | null {
  const { syntax, script, live } = origin;
  const classNode = syntax.memberOf?.node;
  if (!classNode) return null;
  const text = script.source.slice(classNode.start, classNode.end);
  const check = (type: unknown): Owner | null => {
    if (typeof type !== "function" || types.isProxy(type) || Function.prototype.toString.call(type) !== text)
      return null;
    const found = walk.origins.of(type);
    return "syntax" in found && found.syntax === syntax.memberOf ? ownerOf(type, fn) : null;
  };
  for (const { variables, kind } of live.scopes) {
    if (kind === "Global") continue;
    for (const name of Object.keys(variables)) {
      const owner = check(readQuietly(variables, name));
      if (owner) return owner;
    }
  }
  for (const type of inspectorSession().liveFunctions()) {
    const owner = check(type);
    if (owner) return owner;
  }
  return null;
}

function ownerOf(type: { prototype?: unknown }, fn: object): Owner | null {
  const holders = [{ holder: type as object, isStatic: true }];
  if (typeof type.prototype === "object" && type.prototype) holders.push({ holder: type.prototype, isStatic: false });
  for (const { holder, isStatic } of holders)
    for (const key of Reflect.ownKeys(holder)) {
      const descriptor = Object.getOwnPropertyDescriptor(holder, key)!;
      for (const part of ["value", "get", "set"] as const) {
        const found: unknown = descriptor[part];
        if (found === fn || (typeof found === "function" && Object.getOwnPropertyDescriptor(found, TASK)?.value === fn))
          return { type, key, isStatic, part };
      }
    }
  return null;
}

function readQuietly(variables: Record<string, unknown>, name: string): unknown {
  try {
    return variables[name];
  } catch {
    return undefined; // not initialised yet: not the class
  }
}
