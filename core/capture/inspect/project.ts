import { readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/**
 * The folder that file names in stacks and messages are relative to: that of the nearest package.json with a name, else of
 * the nearest package.json, else the file's own. So the same project gives the same code wherever it is checked out.
 */
export function projectRoot(file: string): string {
  let nearest: string | null = null;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = readManifest(folder);
    if (manifest?.name) return folder;
    if (manifest) nearest ??= folder;
    if (dirname(folder) === folder) return nearest ?? dirname(file);
  }
}

/** What humq reads of a package.json. */
export interface Manifest {
  name?: string;
  version?: string;
  exports?: unknown;
  gypfile?: boolean;
  binary?: unknown;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** The package.json of a folder, or `null` when there is none that can be read. */
export function readManifest(folder: string): Manifest | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Manifest) : null;
  } catch {
    return null;
  }
}

/** A path relative to the project, with forward slashes. */
export function displayPath(root: string, path: string): string {
  return relative(root, path).split(sep).join("/");
}
