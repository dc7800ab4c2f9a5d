import { types } from "node:util";
import { CaptureError } from "../../errors.ts";
import type { Slot } from "../format.ts";
import type { Script } from "../inspect/script.ts";
import type { LiveScope } from "../inspect/session.ts";
import type { Binding, ImportSource, ScopeNode } from "../syntax/scope.ts";
import type { FreeVariable } from "../syntax/slice.ts";
import { isDefaultGlobal } from "./intrinsics.ts";
import { followedExport, namespaceSource } from "./live-exports.ts";
import type { Closure, ModuleCapture } from "./modules.ts";
import { requiredSpecifier, targetOf } from "./specifiers.ts";
import type { Trail } from "./trail.ts";
import type { Walk } from "./walk.ts";

/** Names vitest gives to what `import.meta` is. */
const META_OBJECT = /^__vite_ssr_import_meta__$|^__vi_import_meta__$/;

/** Finds the value of each name a closure uses and does not declare, and files it under the scope that holds it. */
export function captureVariables(walk: Walk, module: ModuleCapture, closure: Closure, trail: Trail): void {
  const loaderCalls = new Set(closure.slice.imports.map((call) => call.callee));
  for (const variable of closure.slice.free) {
    if (variable.references.every((reference) => loaderCalls.has(reference))) continue;
    const inner = trail.variable(variable.name);
    const depth = closure.live.scopes.findIndex(
      (scope) => scope.kind !== "Global" && Object.hasOwn(scope.variables, variable.name),
    );
    if (depth === -1) {
      captureGlobal(walk, module, variable, inner);
      continue;
    }
    if (closure.live.scopes[depth]!.kind.startsWith("With"))
      throw inner.error("comes from a with statement, whose names cannot be known", "Take it out of the object first.");
    const scope = scopeOf(module, closure, variable);
    const instance = module.instanceFor(closure, scope, depth);
    const value = readVariable(closure.live.scopes[depth]!, variable.name, inner);
    if (variable.name === "arguments" && variable.binding?.kind === "param" && scope.bindsArguments) {
      instance.arguments = walk.graph.slot(value, inner);
      continue;
    }
    if (followImport(walk, module, variable, value, inner)) continue;
    instance.set(variable.name, variableSlot(walk, module.script, variable, value, inner), value);
  }
}

/** The scope that declares a name; names that only the live scopes know (direct eval) go to the function around. */
function scopeOf(module: ModuleCapture, closure: Closure, variable: FreeVariable): ScopeNode {
  if (variable.binding) return variable.binding.scope;
  let scope: ScopeNode | null = closure.slice.syntax.scope;
  while (scope && (module.isSingle(scope) || !scope.holdsVars)) scope = scope.parent;
  return scope ?? module.script.analysis.root;
}

function readVariable(scope: LiveScope, name: string, trail: Trail): unknown {
  try {
    return scope.variables[name];
  } catch (cause) {
    throw trail.error("has no value yet at submit()", "Move submit() below its declaration.", { cause });
  }
}

/** Writes down a variable's value: by value, unless it is a package's, a builtin's, or stands for a module. */
export function variableSlot(walk: Walk, script: Script, variable: FreeVariable, value: unknown, trail: Trail): Slot {
  if (!isObject(value)) return walk.graph.slot(value, trail);
  const members = usedMembers(variable);
  const imported = variable.binding?.from;
  if (imported) return importSlot(walk, script, imported, members, value, trail);
  const required = requiredSpecifier(variable.binding?.init, script.path);
  if (required && targetOf(required.specifier, script.path) === "package") {
    if (required.direct) return walk.graph.preset(value, walk.packages.required(required.specifier, script.path!, []));
    return walk.moduleSlot(value, members, trail, { script, specifier: required.specifier });
  }
  if (required || META_OBJECT.test(variable.name) || walk.packages.isLocalExports(value))
    return walk.moduleSlot(value, members, trail, null);
  return walk.graph.slot(value, trail);
}

/** `import` declarations. */
function importSlot(
  walk: Walk,
  script: Script,
  imported: ImportSource,
  members: string[] | null,
  value: object,
  trail: Trail,
): Slot {
  const { specifier, imported: name } = imported;
  switch (targetOf(specifier, script.path)) {
    case "builtin": {
      const path = name === "*" || name === "default" ? [] : [`.${name}`];
      return walk.graph.preset(value, { kind: "builtin", module: specifier, path });
    }
    case "package":
      if (name === "*" && members) return walk.moduleSlot(value, members, trail, { script, specifier });
      return walk.graph.preset(value, walk.packages.imported(specifier, script.path!, name));
    case "local": {
      const namespace = types.isModuleNamespaceObject(value) ? namespaceSource(script, imported) : null;
      return namespace && targetOf(namespace.specifier, namespace.script.path) === "local"
        ? walk.moduleSlot(value, members, trail, { ...namespace, isLocal: true })
        : walk.graph.slot(value, trail);
    }
  }
}

/** The members that are used, where a name is used for nothing but plain `name.member`. */
function usedMembers(variable: FreeVariable): string[] | null {
  const members = new Set<string>();
  for (const { member } of variable.references) {
    if (member === undefined) return null;
    members.add(member);
  }
  return [...members];
}

/** An imported variable that its own module assigns to is followed there, as the language does; others are values. */
function followImport(
  walk: Walk,
  module: ModuleCapture,
  variable: FreeVariable,
  value: unknown,
  trail: Trail,
): boolean {
  const binding = variable.binding as Binding | null;
  if (!binding?.from || targetOf(binding.from.specifier, module.script.path) !== "local") return false;
  const target = followedExport(module.script, binding.from);
  if (!target) return false;
  const exporting = walk.follow(target, value, trail);
  const name = `$humq_live${exporting.index}`;
  module.hidden.set(name, walk.liveSlot(exporting));
  module.replacements.set(binding, `${name}.${target.local}`);
  return true;
}

/** A name that no scope has: part of Node, or added to `globalThis` by the user and then captured by value. */
function captureGlobal(walk: Walk, module: ModuleCapture, variable: FreeVariable, trail: Trail): void {
  const { name } = variable;
  if (variable.binding && !(name in globalThis))
    throw new CaptureError(
      `${trail.describe()} cannot be read: V8 does not show it. Declare it outside of the function.`,
    );
  if (isDefaultGlobal(name) || !(name in globalThis)) return;
  const value: unknown = Reflect.get(globalThis, name);
  walk.addGlobal(name, walk.graph.slot(value, trail));
  module.hidden.set("$humq_globals", walk.globalsSlot());
  module.replacements.set(name, `$humq_globals.${name}`);
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
