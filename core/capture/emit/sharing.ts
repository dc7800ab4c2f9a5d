import { CaptureError } from "../../errors.ts";
import type { Closure, ModuleCapture, ScopeInstance } from "../graph/modules.ts";
import type { Context } from "../inspect/heap.ts";
import type { ScopeNode } from "../syntax/scope.ts";
import { contains } from "../syntax/slice.ts";

/**
 * Scopes of function calls are copied for each closure, since V8 shows them as copies. That only makes a difference where
 * captured code assigns to a variable that another closure sees as well, with the same value at present: only for these
 * closures is it worth finding out which scopes are one and the same.
 */
export function closuresThatMayShare(modules: readonly ModuleCapture[]): Closure[] {
  return modules.flatMap((module) => {
    const scopes = [...new Set(module.closures.flatMap((closure) => [...closure.instances.keys()]))];
    return module.closures.filter((closure) =>
      scopes.some((scope) => closure.instances.has(scope) && mayShare(module, closure, scope)),
    );
  });
}

function mayShare(module: ModuleCapture, closure: Closure, scope: ScopeNode): boolean {
  const own = closure.instances.get(scope)!.instance;
  const written = [...own.slots.keys()].filter((name) => isWritten(module, scope, name));
  if (written.length === 0) return false;
  return module.closures.some((other) => {
    const theirs = other === closure ? undefined : other.instances.get(scope)?.instance;
    return theirs && written.some((name) => theirs.slots.has(name)) && haveEqualValues(own, theirs);
  });
}

/** Whether any captured code assigns to the variable. Names that only live scopes know may be assigned anywhere. */
function isWritten(module: ModuleCapture, scope: ScopeNode, name: string): boolean {
  const writes = scope.bindings.get(name)?.writes;
  if (!writes) return true;
  return writes.some((offset) => module.closures.some(({ slice }) => contains(slice, offset)));
}

function haveEqualValues(a: ScopeInstance, b: ScopeInstance): boolean {
  for (const [name, value] of a.values) if (b.values.has(name) && !Object.is(b.values.get(name), value)) return false;
  return true;
}

/** Replaces copies of one scope by one instance. */
export function mergeShared(module: ModuleCapture, chains: ReadonlyMap<object, readonly Context[]>): void {
  const known = new Map<string, ScopeInstance>();
  const numbers = new Map<ScopeNode, number>();
  for (const closure of module.closures) {
    const chain = chains.get(closure.fn);
    if (!chain) continue;
    for (const [scope, entry] of closure.instances) {
      const context = contextWith([...entry.instance.slots.keys()], chain);
      if (!context)
        throw new CaptureError(`V8 does not show the variables around "${(closure.fn as { name: string }).name}".`);
      if (!numbers.has(scope)) numbers.set(scope, numbers.size);
      const key = `${numbers.get(scope)}:${context.id}`;
      const shared = known.get(key);
      if (!shared) known.set(key, entry.instance);
      else {
        for (const [name, slot] of entry.instance.slots) shared.set(name, slot, entry.instance.values.get(name));
        shared.arguments ??= entry.instance.arguments;
        closure.instances.set(scope, { ...entry, instance: shared });
      }
    }
  }
}

/** The innermost scope that has one of these variables. A scope only captured for `arguments` has none. */
function contextWith(names: readonly string[], chain: readonly Context[]): Context | undefined {
  const wanted = names.length === 0 ? ["arguments"] : names;
  return chain.find((context) => wanted.some((name) => context.names.has(name)));
}
