import { decodeCode } from "./codec.ts";
import type { CodeFile } from "./format.ts";
import { bindArguments } from "./load/arguments.ts";
import { makeRuntime, makeScopes } from "./load/modules.ts";
import { loadPackages } from "./load/packages.ts";
import { StackMapper } from "./load/stack.ts";
import { Values } from "./load/values.ts";

export interface LoadOptions {
  /** Folder whose node_modules has the packages that were named at `submit()`. */
  readonly packagesDir?: string;
}

/** A task's function, ready to be called. Its modules' state is its own, and persists from call to call. */
export interface LoadedTask {
  readonly name: string;
  /** Calls the function; frozen arguments are put in by name. May return a promise. */
  call(args: readonly unknown[]): unknown;
  /** The stack of an error the function threw, in terms of the user's own files. */
  mapStack(stack: string): string;
}

/**
 * Makes captured code run again, in this process. Every call of `loadCode` makes its own copy of all captured state.
 *
 * @throws DecodeError when the bytes are not captured code
 * @throws what a package throws when it is loaded
 */
export async function loadCode(code: Uint8Array, options: LoadOptions = {}): Promise<LoadedTask> {
  const file = decodeCode(code);
  const packages = await loadPackages(file, options.packagesDir);
  const runtime = makeRuntime();
  const values = new Values(file, makeScopes(file, runtime), packages, runtime);
  values.restore();
  const stacks = new StackMapper(file);
  return { name: file.name, call: makeCall(file, values), mapStack: (stack) => stacks.map(stack) };
}

function makeCall(file: CodeFile, values: Values): LoadedTask["call"] {
  const fn = values.slot(file.root) as (...args: unknown[]) => unknown;
  const self = values.slot(file.self);
  const frozen = new Map(file.defaults.map(({ name, value }) => [name, values.slot(value)]));
  if (frozen.size === 0) return (args) => Reflect.apply(fn, self, args);
  return (args) => Reflect.apply(fn, self, bindArguments(file.parameters, frozen, args));
}
