import { Script } from "node:vm";
import { DecodeError } from "../../errors.ts";
import type { CodeFile } from "../format.ts";
import { argumentsFor } from "./classes.ts";

/** What the text of a scope makes; see `emit/program.ts`. */
export interface ScopeObject {
  v?: (values: unknown[]) => void;
  a?: ArrayLike<unknown>;
  /** Getters of the variables that other modules follow. */
  l?: Record<string, unknown>;
  f: ((...args: unknown[]) => object)[];
  c: (() => ScopeObject)[];
}

/** What emitted text can ask for. */
export interface Runtime {
  /** True while an instance is made of which only the private names are wanted. */
  restoring: boolean;
  /** What constructors that do not run are called with. */
  arguments(type: unknown): unknown[];
  /** The only method or accessor of an object literal. */
  method(holder: object): object;
}

/** Stack frames in module `i` show this file name, until they are mapped. */
export const MODULE_FILE = "humq-code:";

export function makeRuntime(): Runtime {
  return {
    restoring: false,
    arguments: (type) => argumentsFor(type),
    method(holder) {
      const [key] = Reflect.ownKeys(holder);
      const { value, get, set } = Object.getOwnPropertyDescriptor(holder, key!)!;
      return value ?? get ?? set;
    },
  };
}

/** Evaluates the modules' texts and makes all scopes, their variables still without values. */
export function makeScopes(file: CodeFile, runtime: Runtime): ScopeObject[] {
  const programs = file.modules.map(({ source }, i) => {
    const script = new Script(source, { filename: `${MODULE_FILE}${i}` });
    return script.runInThisContext() as (runtime: Runtime) => ScopeObject;
  });
  const scopes: ScopeObject[] = [];
  for (const { parent, template } of file.scopes) {
    const make = parent < 0 ? programs[-1 - parent] : scopes[parent]?.c[template];
    if (!make) throw new DecodeError("captured code has a scope without text");
    scopes.push(parent < 0 ? (make as (runtime: Runtime) => ScopeObject)(runtime) : (make as () => ScopeObject)());
  }
  return scopes;
}
