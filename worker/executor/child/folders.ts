/**
 * The folders that a call may write to, empty at the start of each call.
 *
 * Making and removing a folder for each call costs more than most calls do (14k a second on ext4). So it stays,
 * with its modification time set to 1970: any file made or removed in it changes that, one `lstat` tells, and
 * only then is it emptied. The executor's working directory is the first of them.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";

const UNTOUCHED_MS = 0;
/** A child process that is still writing may add files behind the broom. */
const SWEEPS = 3;

/** Files of a call could not be removed: the executor must not run another one. */
export class LeftoverFilesError extends Error {
  override readonly name = "LeftoverFilesError";
}

function unlock(path: string): void {
  if (!lstatSync(path).isDirectory()) return;
  chmodSync(path, 0o700);
  for (const name of readdirSync(path)) unlock(join(path, name));
}

function removeEntry(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    unlock(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function empty(folder: string): void {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) mkdirSync(folder, { mode: 0o700 });
  // Without a sandbox a call can put a link there, and what lies behind it is somebody else's.
  else if (!stat.isDirectory()) throw new LeftoverFilesError(`${folder} is no folder any more`);
  chmodSync(folder, 0o700);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const names = readdirSync(folder);
    if (names.length === 0) return;
    for (const name of names) removeEntry(join(folder, name));
  }
  if (readdirSync(folder).length > 0) throw new LeftoverFilesError(`files keep appearing in ${folder}`);
}

/** Whether something is in the folder, or was. */
function touched(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat === undefined || !stat.isDirectory() || stat.mtimeMs !== UNTOUCHED_MS;
}

/**
 * Makes the folders empty again where a call touched them, and the first one the working directory again.
 * @throws LeftoverFilesError
 */
export function freshFolders(folders: readonly string[]): void {
  for (const [position, folder] of folders.entries()) {
    const isHome = position === 0;
    if (!touched(folder)) {
      if (isHome && process.cwd() !== folder) process.chdir(folder);
      continue;
    }
    try {
      empty(folder);
      if (isHome) process.chdir(folder);
      utimesSync(folder, UNTOUCHED_MS, UNTOUCHED_MS);
    } catch (cause) {
      if (cause instanceof LeftoverFilesError) throw cause;
      throw new LeftoverFilesError(`${folder} could not be emptied: ${(cause as Error).message}`, { cause });
    }
  }
}
