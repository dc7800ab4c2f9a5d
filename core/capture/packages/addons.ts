import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Manifest, readManifest } from "../inspect/project.ts";
import { packageFolderOf } from "../inspect/script.ts";

/** Packages that only packages with a native addon depend on: they find or build the addon. */
const ADDON_HELPERS: ReadonlySet<string> = new Set([
  "bindings",
  "node-gyp-build",
  "node-gyp-build-optional-packages",
  "node-pre-gyp",
  "@mapbox/node-pre-gyp",
  "prebuild-install",
  "node-addon-api",
  "cmake-js",
  "nan",
]);

export interface Addon {
  readonly name: string;
  readonly version: string;
  /** What shows that it has an addon. */
  readonly sign: string;
}

/**
 * The first package among bundled files that comes with a native addon, which a bundle cannot hold.
 *
 * @param loading those of the files that load a `.node` file
 */
export function findAddon(files: readonly string[], loading: readonly string[]): Addon | null {
  const foldersOf = (list: readonly string[]) => new Set(list.flatMap((file) => packageFolderOf(file) ?? []));
  const loadingFolders = foldersOf(loading);
  for (const folder of [...foldersOf(files)].sort()) {
    const manifest = readManifest(folder);
    const sign =
      manifest && (addonSign(folder, manifest) ?? (loadingFolders.has(folder) ? "it loads a .node file" : null));
    if (sign) return { name: manifest.name ?? basename(folder), version: manifest.version ?? "latest", sign };
  }
  return null;
}

function addonSign(folder: string, manifest: Manifest): string | null {
  if (manifest.gypfile || existsSync(join(folder, "binding.gyp"))) return "binding.gyp";
  if (manifest.binary) return '"binary" in its package.json';
  const helper = Object.keys(manifest.dependencies ?? {}).find((name) => ADDON_HELPERS.has(name));
  if (helper) return `its dependency ${helper}`;
  const file = findNodeFile(folder, 3);
  if (file) return file;
  // sharp and the like keep the addon in a package of its own for each platform.
  for (const name of Object.keys(manifest.optionalDependencies ?? {})) {
    const optional = join(dirname(folder), ...(basename(dirname(folder)).startsWith("@") ? [".."] : []), name);
    if (existsSync(optional) && findNodeFile(optional, 3)) return `its optional dependency ${name}`;
  }
  return null;
}

/** A `.node` file, some folders deep. */
function findNodeFile(folder: string, depth: number): string | null {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isFile() && entry.name.endsWith(".node")) return entry.name;
      if (depth === 0 || !entry.isDirectory() || entry.name === "node_modules") continue;
      const found = findNodeFile(join(folder, entry.name), depth - 1);
      if (found) return `${entry.name}/${found}`;
    }
  } catch {
    // A folder that cannot be listed cannot be loaded from either.
  }
  return null;
}
