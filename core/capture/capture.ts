import { CaptureError } from "../errors.ts";
import { encodeCode } from "./codec.ts";
import { writeProgram } from "./emit/program.ts";
import { closuresThatMayShare, mergeShared } from "./emit/sharing.ts";
import { TemplateTree } from "./emit/templates.ts";
import { Files } from "./emit/text.ts";
import { type CodeFile, FORMAT_VERSION, type ModuleText, type ScopeEntry, SLOT, type Slot } from "./format.ts";
import { nameOf } from "./graph/functions.ts";
import { owningClass } from "./graph/members.ts";
import { type Origin, Origins } from "./graph/origin.ts";
import { Trail } from "./graph/trail.ts";
import { Walk } from "./graph/walk.ts";
import { contextChains } from "./inspect/heap.ts";
import { projectRoot } from "./inspect/project.ts";
import { bundlePackages } from "./packages/bundle.ts";
import { namedPackages } from "./packages/named.ts";
import { parametersOf } from "./syntax/parameters.ts";
import { sliceOf } from "./syntax/slice.ts";

export interface CaptureOptions {
  /** Default: the function's name, or `task`. */
  readonly name?: string;
  /** Frozen arguments by parameter name: they travel with the code, and calls leave them out. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** Packages that are installed on the worker instead of bundled: `sharp@0.34`, `@scope/x@^1`. */
  readonly packages?: readonly string[];
}

export interface Captured {
  /** The same code, values and options give the same bytes. */
  readonly code: Uint8Array;
  readonly name: string;
}

/**
 * Captures a function with all it uses: functions and classes as code, variables by the values they have now, packages
 * bundled. All values are read before the first await; the program may change them as soon as this returns.
 *
 * @throws CaptureError naming the variable, the function, its file and line, and what to do, for what cannot travel
 */
export async function capture(fn: object, options: CaptureOptions = {}): Promise<Captured> {
  if (typeof fn !== "function") throw new CaptureError(`capture() takes a function, got ${typeof fn}`);
  const origin = new Origins().of(fn);
  const path = "script" in origin ? origin.script.path : null;
  const root = projectRoot(path ?? `${process.cwd()}/script.js`);
  const named = namedPackages(options.packages ?? []);
  const walk = new Walk(root, named);
  const start = Trail.start("the task");
  const rootSlot = walk.graph.slot(fn, start);
  const self = selfSlot(walk, fn, origin, start);
  const parameters = "syntax" in origin ? parametersOf(origin.syntax.node) : [];
  const defaults = defaultSlots(walk, options.defaults ?? {}, parameters, start);
  walk.graph.drain();
  await loadPending(walk);
  const { modules, files, scopes } = await emit(walk, root);
  const { entries } = walk.packages;
  const packages = entries.length === 0 ? null : { source: await bundlePackages(entries, root, named) };
  const name = options.name ?? (nameOf(fn) || "task");
  const { nodes, blobs } = walk.graph;
  const rest = { root: rootSlot, self, parameters, defaults, files, modules, scopes, nodes, blobs, packages };
  const file: CodeFile = { version: FORMAT_VERSION, name, ...rest };
  return { code: encodeCode(file), name };
}

/** In a static method `this` is the class; other functions are called without. */
function selfSlot(walk: Walk, fn: object, origin: Origin, trail: Trail): Slot {
  if (!("syntax" in origin) || !origin.syntax.memberOf) return [SLOT.undefined];
  const { usesThis, usesSuper } = sliceOf(origin.script.analysis, origin.syntax);
  const { holder } = origin.syntax;
  const isStatic = holder?.type === "MethodDefinition" && holder.static;
  if (!isStatic || !(usesThis || usesSuper)) return [SLOT.undefined];
  const owner = owningClass(walk, fn, origin);
  if (owner) return walk.graph.slot(owner.type, trail.into(".this"));
  throw walk
    .inside(fn, origin, null)
    .error(
      "is a static method that uses this, and its class was not found",
      "Use the name of the class instead of this.",
    );
}

function defaultSlots(
  walk: Walk,
  defaults: Readonly<Record<string, unknown>>,
  parameters: readonly (string | null)[],
  trail: Trail,
): CodeFile["defaults"] {
  const known = parameters.filter((name) => name !== null);
  return Object.entries(defaults).map(([name, value]) => {
    if (!known.includes(name))
      throw new CaptureError(
        `defaults has "${name}", but the function has no parameter of that name that could be left out ` +
          `(it has: ${known.join(", ") || "none"}). Patterns and rest parameters have no name.`,
      );
    return { name, value: walk.graph.slot(value, Trail.ofDefault(name, trail)) };
  });
}

/** Local modules that are loaded by `import()` inside of captured code are loaded here, now. */
async function loadPending(walk: Walk): Promise<void> {
  for (let next = walk.pending.shift(); next; next = walk.pending.shift()) {
    const { load, trail, fill, specifier } = next;
    try {
      fill(await load());
    } catch (cause) {
      if (cause instanceof CaptureError) throw cause;
      throw trail.error(
        `loads "${specifier}", which cannot be loaded here: ${(cause as Error).message}`,
        "Fix that first.",
        {
          cause,
        },
      );
    }
    walk.graph.drain();
  }
}

/** Writes the text of all modules, and numbers the scopes and what is made in them. */
async function emit(walk: Walk, root: string): Promise<Pick<CodeFile, "modules" | "files" | "scopes">> {
  const { list } = walk.modules;
  const sharing = closuresThatMayShare(list);
  if (sharing.length > 0) {
    const chains = await contextChains([...new Set(sharing.map((closure) => closure.fn))]);
    for (const module of list) mergeShared(module, chains);
  }
  const files = new Files(root);
  const scopes: ScopeEntry[] = [];
  const modules: ModuleText[] = [];
  for (const module of list) {
    const tree = new TemplateTree(module, scopes);
    const text = writeProgram(module, tree.root, files);
    modules.push({ source: text.text, rows: text.rowBytes });
  }
  return { modules, files: files.names, scopes };
}
