import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Script, scriptOf } from "../inspect/script.ts";
import { inspectorSession } from "../inspect/session.ts";
import type { ImportSource } from "../syntax/scope.ts";

/** The compiled ES module an import of another module of the user leads to. */
export function importedScript(script: Script, specifier: string): Script | null {
  if (!script.path) return null;
  const key = `${script.path}\0${specifier}`;
  const known = imported.get(key);
  if (known) return known;
  const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(dirname(script.path), specifier);
  // tsx resolves `./x` and `./x.js` to `x.ts`.
  const candidates = [
    path,
    path.replace(/\.([cm]?)js$/, ".$1ts"),
    `${path}.ts`,
    `${path}.js`,
    resolve(path, "index.ts"),
  ];
  const file = candidates.find((candidate) => existsSync(candidate));
  const info = file === undefined ? undefined : inspectorSession().moduleAt(file);
  if (!info) return null;
  imported.set(key, scriptOf(info));
  return scriptOf(info);
}

const imported = new Map<string, Script>();

/** The module that a namespace comes from which another module passes on: `export * as name from "./module"`. */
export function namespaceSource(
  script: Script,
  source: ImportSource,
  hops = 20,
): { script: Script; specifier: string } | null {
  if (source.imported === "*") return { script, specifier: source.specifier };
  const target = hops > 0 ? importedScript(script, source.specifier) : null;
  const exported = target?.analysis.exports.get(source.imported);
  if (!target || !exported) return null;
  const next = "local" in exported ? target.analysis.root.bindings.get(exported.local)?.from : exported;
  return next ? namespaceSource(target, next, hops - 1) : null;
}

/** The variable behind an import, if its module assigns to it after its declaration: then its value is not all there is. */
export function followedExport(
  script: Script,
  source: ImportSource,
  hops = 20,
): { script: Script; local: string } | null {
  const target = hops > 0 ? importedScript(script, source.specifier) : null;
  if (!target) return null;
  const { exports, exportAll, root } = target.analysis;
  const exported = exports.get(source.imported);
  if (!exported) {
    for (const specifier of exportAll) {
      const found = followedExport(target, { specifier, imported: source.imported }, hops - 1);
      if (found) return found;
    }
    return null;
  }
  if (!("local" in exported)) return followedExport(target, exported, hops - 1);
  const binding = root.bindings.get(exported.local);
  if (binding?.from) return followedExport(target, binding.from, hops - 1);
  return binding && binding.writes.length > 0 ? { script: target, local: exported.local } : null;
}
