import { createRequire } from "node:module";
import { isAbsolute, relative, sep } from "node:path";
import type { Node, Path } from "../format.ts";
import type { CodeOrigin } from "../graph/origin.ts";
import { packageNameOf } from "../graph/specifiers.ts";
import { readManifest } from "../inspect/project.ts";
import { packageFolderOf } from "../inspect/script.ts";

/** How a value of a package is had: `import` by its exported name, `require` as the whole module, `load` as `import()`. */
export interface PackageEntry {
  readonly how: "import" | "require" | "load" | "loadRequire";
  /** As the user wrote it, or an absolute path. */
  readonly specifier: string;
  /** The importing file. */
  readonly from: string;
  /** Exported name, `default` or `*`; not for `require`. */
  readonly name: string;
}

interface CachedExport {
  readonly file: string;
  readonly path: Path;
}

/** The values of packages that captured code uses. The bundle exports them by number. */
export class PackageRefs {
  readonly entries: PackageEntry[] = [];
  /** Specifiers of named packages that are used: the worker has them installed. */
  private readonly indices = new Map<string, number>();
  private readonly named: ReadonlyMap<string, string>;
  private cached: Map<object, CachedExport> | undefined;

  /** @param named packages the user named for installation, by name */
  constructor(named: ReadonlyMap<string, string>) {
    this.named = named;
  }

  imported(specifier: string, from: string, name: string): Node {
    const external = this.namedSpecifier(specifier);
    if (external !== null)
      return { kind: "external", specifier: external, how: "import", path: name === "*" ? [] : [`.${name}`] };
    return { kind: "package", index: this.add({ how: "import", specifier, from, name }), path: [] };
  }

  required(specifier: string, from: string, path: Path): Node {
    const external = this.namedSpecifier(specifier);
    if (external !== null) return { kind: "external", specifier: external, how: "require", path };
    return { kind: "package", index: this.add({ how: "require", specifier, from, name: "*" }), path };
  }

  /** What loads a package when it is called: `import("x")` or `require("x")` inside captured code. */
  loader(how: "load" | "loadRequire", specifier: string, from: string): Node {
    const external = this.namedSpecifier(specifier);
    if (external !== null)
      return { kind: "external", specifier: external, how: how === "load" ? "import" : "require", path: [] };
    return { kind: "package", index: this.add({ how, specifier, from, name: "*" }), path: [] };
  }

  /**
   * A function or class found in a package's file, by way of what that file exports. `null` for one that no export leads
   * to, such as a closure that the package made: that one travels as code.
   */
  ofFunction(fn: object, origin: CodeOrigin & { folder: string }): Node | null {
    const file = origin.script.path!;
    if (!origin.script.info.isModule) return this.ofObject(fn);
    const { exports } = origin.script.analysis;
    const variables = origin.live.scopes.find((scope) => scope.kind === "Module")?.variables ?? {};
    for (const [name, source] of exports)
      if ("local" in source && readQuietly(variables, source.local) === fn) return this.imported(file, file, name);
    const isDefault = origin.syntax.holder?.type === "ExportDefaultDeclaration";
    return isDefault ? this.imported(file, file, "default") : null;
  }

  /** A value that some loaded CommonJS module of a package exports. */
  ofObject(value: object): Node | null {
    const found = this.cachedExports().get(value);
    if (!found) return null;
    return this.required(found.file, found.file, found.path);
  }

  /** Whether the object is the `exports` of one of the user's own CommonJS modules. */
  isLocalExports(value: object): boolean {
    return Object.values(commonJsCache).some((module) => module?.exports === value);
  }

  private add(entry: PackageEntry): number {
    const key = JSON.stringify([entry.how, entry.specifier, entry.from, entry.name]);
    let index = this.indices.get(key);
    if (index === undefined) {
      index = this.entries.push(entry) - 1;
      this.indices.set(key, index);
    }
    return index;
  }

  /** How a package that the user named is imported where it is installed; `null` for all others. */
  private namedSpecifier(specifier: string): string | null {
    if (!isAbsolute(specifier)) return this.named.has(packageNameOf(specifier) ?? "") ? specifier : null;
    const folder = packageFolderOf(specifier);
    const name = folder && packageNameOf(folder.slice(folder.lastIndexOf("node_modules") + 13));
    if (!folder || !name || !this.named.has(name)) return null;
    // With "exports" only what it lists can be imported; its entry is the best there is.
    if (readManifest(folder)?.exports !== undefined || createRequire(specifier).resolve(name) === specifier)
      return name;
    return `${name}/${relative(folder, specifier).split(sep).join("/")}`;
  }

  private cachedExports(): Map<object, CachedExport> {
    if (this.cached) return this.cached;
    const files = Object.keys(commonJsCache);
    this.cached = new Map();
    const modules = files.flatMap((file) => (packageFolderOf(file) ? [{ file, exports: exportsOf(file) }] : []));
    for (const { file, exports } of modules)
      if (isObject(exports) && !this.cached.has(exports)) this.cached.set(exports, { file, path: [] });
    for (const { file, exports } of modules) {
      if (!isObject(exports)) continue;
      // ES modules that were compiled to CommonJS export by getters.
      const compiled = Object.hasOwn(exports, "__esModule");
      for (const [key, { value: plain, get }] of Object.entries(Object.getOwnPropertyDescriptors(exports))) {
        const value: unknown = compiled && get ? readQuietly(exports as Record<string, unknown>, key) : plain;
        if (isObject(value) && key !== "prototype" && !this.cached.has(value))
          this.cached.set(value, { file, path: [`.${key}`] });
      }
    }
    return this.cached;
  }
}

/** All CommonJS modules of this process; `require` functions share it. */
const commonJsCache = createRequire(import.meta.url).cache;

function exportsOf(file: string): unknown {
  return commonJsCache[file]?.exports;
}

function readQuietly(variables: Record<string, unknown>, name: string): unknown {
  try {
    return variables[name];
  } catch {
    return undefined; // not initialised yet
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
