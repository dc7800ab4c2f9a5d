import { createRequire } from "node:module";
import { dirname, isAbsolute, resolve } from "node:path";
import type { Metafile, Plugin } from "esbuild";
import { CaptureError } from "../../errors.ts";
import { packageNameOf } from "../graph/specifiers.ts";
import { readManifest } from "../inspect/project.ts";
import { packageFolderOf } from "../inspect/script.ts";
import { type Addon, findAddon } from "./addons.ts";
import type { PackageEntry } from "./refs.ts";

/** Comes first in the bundle: what `import.meta.url` means in a package that was an ES module. */
const BANNER = 'const humq_import_meta_url=require("node:url").pathToFileURL(__filename).href;';

/**
 * Bundles what captured code uses of packages into one CommonJS text that exports it as `e0`, `e1`, ...
 *
 * @param root folder that the file names in the text are relative to
 * @param named packages that are installed on the worker and stay out of the bundle
 * @throws CaptureError when a package cannot be bundled, above all for a native addon
 */
export async function bundlePackages(
  entries: readonly PackageEntry[],
  root: string,
  named: ReadonlyMap<string, string>,
): Promise<string> {
  const esbuild = await import("esbuild");
  // Addons are left out only to be found and refused below.
  const external = ["*.node", ...[...named.keys()].flatMap((name) => [name, `${name}/*`])];
  try {
    const result = await esbuild.build({
      stdin: { contents: entries.map(entryLine).join("\n"), sourcefile: "entry.mjs", resolveDir: root },
      absWorkingDir: root,
      bundle: true,
      write: false,
      metafile: true,
      platform: "node",
      format: "cjs",
      target: "node22.18",
      // Only the conditions Node itself has; esbuild would add "module".
      conditions: ["node"],
      charset: "utf8",
      legalComments: "none",
      keepNames: true,
      logLevel: "silent",
      external,
      define: { "import.meta.url": "humq_import_meta_url" },
      banner: { js: BANNER },
      // `import()` of builtins becomes a promise of require().
      supported: { "dynamic-import": false },
      plugins: [entryPlugin(entries)],
    });
    refuseAddons(result.metafile, entries, root);
    return result.outputFiles[0]!.text;
  } catch (error) {
    if (error instanceof CaptureError) throw error;
    throw bundleError(error, entries, root);
  }
}

function entryLine(entry: PackageEntry, index: number): string {
  const from = JSON.stringify(`humq:${index}`);
  switch (entry.how) {
    case "import":
      return entry.name === "*"
        ? `export * as e${index} from ${from};`
        : `export { ${exportName(entry.name)} as e${index} } from ${from};`;
    case "require":
      return `export const e${index} = require(${from});`;
    case "load":
      return `export const e${index} = () => import(${from});`;
    case "loadRequire":
      return `export const e${index} = () => require(${from});`;
  }
}

/** Export names that are not identifiers are written as strings. */
function exportName(name: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name);
}

/** Resolves each entry from the file that imports it. */
function entryPlugin(entries: readonly PackageEntry[]): Plugin {
  return {
    name: "humq",
    setup(build) {
      build.onResolve({ filter: /^humq:\d+$/ }, async ({ path, kind }) => {
        const { specifier, from } = entries[Number(path.slice(5))]!;
        return isAbsolute(specifier)
          ? { path: specifier }
          : build.resolve(specifier, { resolveDir: dirname(from), kind });
      });
    },
  };
}

function refuseAddons(metafile: Metafile, entries: readonly PackageEntry[], root: string): void {
  const inputs = Object.entries(metafile.inputs);
  const loadsAddon = inputs.filter(([, input]) => input.imports.some(({ path }) => path.endsWith(".node")));
  const [files, loading] = [inputs, loadsAddon].map((list) => list.map(([file]) => resolve(root, file)));
  const addon = findAddon(files!, loading!);
  if (addon) throw addonError(addon, metafile, entries, root);
}

/** Names the package the user's own code imports, even if the addon is in one that this one needs. */
function addonError(addon: Addon, metafile: Metafile, entries: readonly PackageEntry[], root: string): CaptureError {
  const used = entries.find((entry) => reaches(metafile, entry, addon, root)) ?? entries[0]!;
  const top = describePackage(used);
  const through = top.name === addon.name ? "" : ` through ${addon.name}@${addon.version}`;
  return new CaptureError(
    `package "${top.name}" (${top.version}) contains a native addon${through} (${addon.sign}), which cannot travel as code. ` +
      `Have it installed on the worker: submit({ packages: ["${top.name}@${top.version}"] })`,
  );
}

function reaches(metafile: Metafile, entry: PackageEntry, addon: Addon, root: string): boolean {
  const start = Object.keys(metafile.inputs).filter((file) => packageOf(resolve(root, file)) === nameOfEntry(entry));
  const seen = new Set(start);
  for (const file of seen) {
    if (packageOf(resolve(root, file)) === addon.name) return true;
    for (const { path } of metafile.inputs[file]?.imports ?? []) seen.add(path);
  }
  return false;
}

function packageOf(file: string): string | null {
  const folder = packageFolderOf(file);
  return folder && packageNameOf(folder.slice(folder.lastIndexOf("node_modules") + 13));
}

function nameOfEntry(entry: PackageEntry): string | null {
  return isAbsolute(entry.specifier) ? packageOf(entry.specifier) : packageNameOf(entry.specifier);
}

function describePackage(entry: PackageEntry): { name: string; version: string } {
  const name = nameOfEntry(entry) ?? entry.specifier;
  const folder = isAbsolute(entry.specifier) ? packageFolderOf(entry.specifier) : folderOf(name, entry.from);
  return { name, version: (folder && readManifest(folder)?.version) || "latest" };
}

function folderOf(name: string, from: string): string | null {
  for (const path of createRequire(from).resolve.paths(name) ?? []) {
    const folder = resolve(path, name);
    if (readManifest(folder)) return folder;
  }
  return null;
}

function bundleError(error: unknown, entries: readonly PackageEntry[], root: string): CaptureError {
  const messages = (error as { errors?: { text: string; location?: { file: string; line: number } | null }[] }).errors;
  const [first] = messages ?? [];
  const where = first?.location ? ` (${first.location.file}:${first.location.line})` : "";
  const text = first?.text ?? (error as Error).message;
  const used = entries.map((entry) => describePackage(entry));
  const names = [...new Set(used.map((p) => `${p.name}@${p.version}`))];
  const failing = first?.location ? packageOf(resolve(root, first.location.file)) : null;
  const guilty = used.find((p) => p.name === failing) ?? used[0]!;
  return new CaptureError(
    `the packages this task uses (${names.join(", ")}) cannot be bundled: ${text}${where}. ` +
      `Name the package to have it installed on the worker instead: submit({ packages: ["${guilty.name}@${guilty.version}"] })`,
    { cause: error },
  );
}
