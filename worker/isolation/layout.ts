/** Where this package, node and npm lie on this machine, and where they appear in the sandbox. */
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** A folder or file and where user code finds it. */
export interface Mount {
  from: string;
  to: string;
}

/** The sandbox's own folders: fixed names, so nothing of the machine's layout shows. */
export const SANDBOX_WORK = "/humq/work";
export const SANDBOX_PACKAGES = "/humq/packages";
const SANDBOX_CODE = "/humq/code";
const SANDBOX_NODE = "/humq/node";

/** Folders that the sandbox has under their own names anyway. */
function isSystemPath(path: string): boolean {
  return path.startsWith("/usr/") || path.startsWith("/nix/store/") || path.startsWith("/gnu/store/");
}

/** The folder that holds `core/` and `worker/`: the checkout, or `dist/` of the installed package. */
const codeRoot = realpathSync(fileURLToPath(new URL("../..", import.meta.url)));

/** `.ts` where the sources run as they are, `.js` where they were compiled. */
export const codeExtension = import.meta.url.endsWith(".ts") ? "ts" : "js";

/** The outermost `node_modules` above the package: package managers link within it. */
function outerModules(path: string): string | undefined {
  const parts = path.split(sep);
  const position = parts.indexOf("node_modules");
  return position === -1 ? undefined : parts.slice(0, position + 1).join(sep);
}

/** This package's files and their dependencies, nothing beside them. */
export function codeMounts(): { mounts: Mount[]; root: string } {
  const modules = outerModules(codeRoot);
  if (modules !== undefined) {
    const to = join(SANDBOX_CODE, "node_modules");
    return { mounts: [{ from: modules, to }], root: join(to, relative(modules, codeRoot)) };
  }
  const packageRoot = existsSync(join(codeRoot, "package.json")) ? codeRoot : dirname(codeRoot);
  const root = join(SANDBOX_CODE, relative(packageRoot, codeRoot));
  const mounts = [
    ...["core", "worker"].map((folder) => ({ from: join(codeRoot, folder), to: join(root, folder) })),
    ...["package.json", "node_modules"].map((name) => ({
      from: join(packageRoot, name),
      to: join(SANDBOX_CODE, name),
    })),
  ];
  return { mounts, root };
}

/** A module of this package as a path on this machine. */
export function codePath(module: string): string {
  return join(codeRoot, `${module}.${codeExtension}`);
}

/** The running node: its own folder, and the libraries that some builds have beside it. */
export function nodeMounts(): { mounts: Mount[]; nodePath: string } {
  const nodePath = realpathSync(process.execPath);
  if (isSystemPath(nodePath)) return { mounts: [], nodePath };
  const bin = dirname(nodePath);
  const lib = join(dirname(bin), "lib");
  const mounts = [{ from: bin, to: `${SANDBOX_NODE}/bin` }];
  if (basename(bin) === "bin" && existsSync(lib)) mounts.push({ from: lib, to: `${SANDBOX_NODE}/lib` });
  return { mounts, nodePath: `${SANDBOX_NODE}/bin/${basename(nodePath)}` };
}
