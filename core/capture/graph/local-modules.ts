import { pathToFileURL } from "node:url";
import type { Script } from "../inspect/script.ts";
import type { DynamicImport } from "../syntax/scope.ts";
import type { Closure } from "./modules.ts";

/**
 * Loads a local module the way captured code would: by the function its code calls (`require`, or vitest's loader) with
 * the value it has there, or by `import()` from the file it is in.
 */
export function loadLocal(script: Script, closure: Closure, call: DynamicImport): unknown {
  const specifier = call.specifier!;
  const name = call.callee?.name;
  if (name === undefined) return import(new URL(specifier, script.info.url || pathToFileURL(`${process.cwd()}/`)).href);
  const scope = closure.live.scopes.find(({ variables }) => Object.hasOwn(variables, name));
  const load: unknown = scope ? scope.variables[name] : Reflect.get(globalThis, name);
  if (typeof load !== "function") throw new TypeError(`${name} is not a function here`);
  return load(specifier);
}
