import { existsSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { AnyNode } from "acorn";
import { packageFolderOf } from "../inspect/script.ts";
import { children } from "../syntax/patterns.ts";

/** What an import specifier leads to. */
export type Target = "builtin" | "package" | "local";

/**
 * @param from the importing file
 * @returns `package` for what lies in a node_modules folder once links are followed: a linked workspace package is the
 * user's own code
 */
export function targetOf(specifier: string, from: string | null): Target {
  const key = `${from}\0${specifier}`;
  let target = targets.get(key);
  if (!target) {
    target = findTarget(specifier, from);
    targets.set(key, target);
  }
  return target;
}

/** Looked up on disk once; a thousand closures may use the same import. */
const targets = new Map<string, Target>();

function findTarget(specifier: string, from: string | null): Target {
  if (isBuiltin(specifier)) return "builtin";
  const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : specifier;
  if (isAbsolute(path) || /^\.\.?(?:\/|$)/.test(path)) {
    const file = resolve(from ? dirname(from) : ".", path);
    return packageFolderOf(file) ? "package" : "local";
  }
  const name = packageNameOf(specifier);
  if (name === null || from === null) return "local";
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(candidate)) return packageFolderOf(`${realpathSync(candidate)}/`) ? "package" : "local";
    if (dirname(folder) === folder) return "local";
  }
}

/**
 * A specifier as Node would take it. vitest writes paths from its root (`/src/x.ts`, `/node_modules/...`), `/@fs/` before
 * absolute ones, and queries behind them.
 */
export function plainSpecifier(specifier: string, from: string | null): string {
  if (!specifier.startsWith("/") || from === null) return specifier;
  const path = specifier.replace(/^\/@fs(?=\/)/, "").replace(/[?#].*$/s, "");
  if (existsSync(path)) return path;
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, path))) return join(folder, path);
    if (dirname(folder) === folder) return path;
  }
}

/** `@scope/name` of `@scope/name/file`; `null` for `#internal` and the like. */
export function packageNameOf(specifier: string): string | null {
  return /^(?:@[^/@]+\/)?[^./#@][^/]*/.exec(specifier)?.[0] ?? null;
}

/**
 * The specifier in `const x = require("specifier")` and what compilers make of imports: `__toESM(require("x"))`,
 * `__importStar(require("x"))`, `await __vite_ssr_import__("x", ...)`.
 *
 * @returns `direct` when the variable is the loaded module itself
 */
export function requiredSpecifier(
  init: AnyNode | undefined,
  from: string | null,
): { specifier: string; direct: boolean } | null {
  let node = init;
  let direct = true;
  while (node) {
    if (node.type === "AwaitExpression") {
      node = node.argument;
      continue;
    }
    if (node.type === "ImportExpression") {
      const text = literal(node.source);
      return text === null ? null : { specifier: text, direct: false };
    }
    if (node.type !== "CallExpression" || node.callee.type !== "Identifier") return null;
    const { name } = node.callee;
    const text = literal(node.arguments[0]);
    if (text !== null && name === "require") return { specifier: text, direct };
    if (text !== null && /^__vite_ssr_(?:dynamic_)?import__$|^__vi_import__$/.test(name))
      return { specifier: plainSpecifier(text, from), direct: false };
    if (!/^__(?:toESM|importStar|importDefault)\d*$/.test(name)) return null;
    direct = false;
    node = [...children(node)].find((child) => child.type === "CallExpression");
  }
  return null;
}

function literal(node: AnyNode | undefined): string | null {
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : null;
}
