import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../../core/instance/server/run.ts";
import { type Installing, installed } from "./cache.ts";

const INSTALL_MS = 5 * 60 * 1000;

/**
 * What the package.json and lockfile in `from` name, installed into the cache.
 * @returns the folder that holds node_modules
 * @throws Unavailable
 */
export async function installPackages(name: string, from: string, installing: Installing): Promise<string> {
  const lock = await readFile(join(from, "package-lock.json"), "utf8");
  return await installed(
    {
      name,
      key: [lock],
      async install(into) {
        for (const file of ["package.json", "package-lock.json"]) await copyFile(join(from, file), join(into, file));
        const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        await run("npm", args, { cwd: into, timeoutMs: INSTALL_MS });
      },
    },
    installing,
  );
}
