import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { WORK_DIR_PREFIX } from "./launch.ts";
import { removeFolder } from "./remove-folder.ts";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes the folders of executors whose worker was killed before it could. */
export async function removeStaleFolders(workRoot: string): Promise<void> {
  for (const name of await readdir(workRoot)) {
    const pid = name.startsWith(WORK_DIR_PREFIX) ? Number.parseInt(name.slice(WORK_DIR_PREFIX.length), 10) : Number.NaN;
    if (Number.isInteger(pid) && !isAlive(pid)) await removeFolder(join(workRoot, name));
  }
}
