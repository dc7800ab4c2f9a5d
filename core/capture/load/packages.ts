import { createRequire } from "node:module";
import { join } from "node:path";
import { compileFunction, constants, Script } from "node:vm";
import { CaptureError } from "../../errors.ts";
import type { CodeFile, Node } from "../format.ts";

/** Stack frames in the bundle show this file name, until they are mapped. */
export const PACKAGES_FILE = "humq-packages";

type External = Node & { kind: "external" };

/** The packages of a task on the worker: the bundled ones, and those that are installed. */
export interface LoadedPackages {
  readonly exports: Record<string, unknown>;
  external(node: External): unknown;
}

export async function loadPackages(file: CodeFile, packagesDir: string | undefined): Promise<LoadedPackages> {
  const externals = new Map<string, unknown>();
  for (const node of file.nodes)
    if (node.kind === "external" && !externals.has(keyOf(node)))
      externals.set(keyOf(node), await loadExternal(node, packagesDir));
  return {
    exports: file.packages ? runBundle(file.packages.source, packagesDir) : {},
    external: (node) => externals.get(keyOf(node)),
  };
}

function keyOf(node: External): string {
  return `${node.how}:${node.specifier}`;
}

async function loadExternal(node: External, packagesDir: string | undefined): Promise<unknown> {
  const folder = neededFolder(node.specifier, packagesDir);
  if (node.how === "require") return createRequire(folder)(node.specifier);
  // The main loader resolves from the script's file name, with the conditions of `import`.
  const script = new Script("(specifier) => import(specifier)", {
    filename: folder,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return (script.runInThisContext() as (specifier: string) => Promise<unknown>)(node.specifier);
}

/** A file in the folder that packages are resolved from. */
function neededFolder(specifier: string, packagesDir: string | undefined): string {
  if (packagesDir !== undefined) return join(packagesDir, "humq.cjs");
  throw new CaptureError(`this task needs the package "${specifier}" installed, and there is no folder of packages`);
}

function runBundle(source: string, packagesDir: string | undefined): Record<string, unknown> {
  const requireBuiltin = (specifier: string) => {
    const builtin = process.getBuiltinModule(specifier);
    return builtin ?? createRequire(neededFolder(specifier, packagesDir))(specifier);
  };
  const file = join(packagesDir ?? process.cwd(), "humq-packages.cjs");
  const module = { exports: {} };
  const run = compileFunction(source, ["exports", "require", "module", "__filename", "__dirname"], {
    filename: PACKAGES_FILE,
  });
  run.call(module.exports, module.exports, requireBuiltin, module, file, packagesDir ?? process.cwd());
  return module.exports;
}
