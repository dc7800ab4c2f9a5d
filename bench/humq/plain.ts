import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { transformSync } from "esbuild";
import type { Cleanup } from "../cleanup.ts";
import { PACKAGE_ROOT } from "./root.ts";

/** Modules that make and open seals, and what stands in for them. */
const STAND_INS = {
  "node:crypto": "plain-crypto",
  "@noble/ciphers/chacha.js": "plain-chacha",
  "@noble/ciphers/_poly1305.js": "plain-poly1305",
};
const CIPHERS = /\bcreate(C|Dec)ipheriv\b|\bh?chacha(20)?\b|\bpoly1305\b/;

/**
 * A copy of the compiled package whose ciphers do nothing, to see what encryption costs. It is made of files that are not
 * published, by changing the copy: humq itself has nothing that could be told to do so.
 * @returns its folder; below node_modules, where a worker's sandbox finds the packages it needs
 */
export function makePlainPackage(cleanup: Cleanup): string {
  const root = join(PACKAGE_ROOT, "node_modules/.cache", `humq-bench-${process.pid}`);
  cleanup.add(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(root, { recursive: true });
  for (const name of ["package.json", "bin", "dist"]) {
    cpSync(join(PACKAGE_ROOT, name), join(root, name), { recursive: true });
  }
  const dist = join(root, "dist");
  for (const name of Object.values(STAND_INS)) {
    const { code } = transformSync(readFileSync(join(import.meta.dirname, `${name}.ts`), "utf8"), { loader: "ts" });
    writeFileSync(join(dist, `${name}.js`), code);
  }
  const changed = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => useStandIns(dist, name));
  if (changed.length === 0) throw new Error(`nothing in ${dist} encrypts: the bench does not know any more what does`);
  return root;
}

/** @returns whether the module uses a cipher */
function useStandIns(dist: string, name: string): boolean {
  const path = join(dist, name);
  if (!name.endsWith(".js") || Object.values(STAND_INS).includes(name.slice(0, -3))) return false;
  const code = readFileSync(path, "utf8");
  if (!CIPHERS.test(code)) return false;
  let changed = code;
  for (const [module, standIn] of Object.entries(STAND_INS)) {
    const from = relative(dirname(path), join(dist, `${standIn}.js`));
    changed = changed.replaceAll(`from "${module}"`, `from "${from.startsWith(".") ? from : `./${from}`}"`);
  }
  writeFileSync(path, changed);
  return true;
}
