/** Removes what user code has left: whatever it is, and never anything outside of it. */
import { execFile } from "node:child_process";
import { rmdir } from "node:fs/promises";

/** Ends a removal that does not come to its end. */
const TIMEOUT_MS = 10 * 60_000;

function run(file: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(file, args, { timeout: TIMEOUT_MS, env: { PATH: process.env.PATH } }, (error) => resolve(error === null));
  });
}

/**
 * Where it is empty, which is usual, that is all. Else `rm` does it, which reads folders of any size and depth, follows no link
 * and takes nothing of this process' time; before a second try, folders that their owner may not enter are opened.
 */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rmdir(path);
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
  }
  if (await run("rm", ["-rf", "--", path])) return;
  await run("chmod", ["-R", "u+rwx", "--", path]);
  await run("rm", ["-rf", "--", path]);
}
