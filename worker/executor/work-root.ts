/** The folder that holds those of executors; it lies where everybody may write. */
import { lstatSync, mkdirSync } from "node:fs";
import { HumqError } from "../../core/errors.ts";

/** The folder is not this account's alone. */
export class WorkRootError extends HumqError {
  constructor(message: string) {
    super("work-root", message);
  }
}

/**
 * Makes it where it is missing.
 * @throws WorkRootError where somebody else made it, or can write to it: what lies in it could be swapped
 */
export function makeWorkRoot(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const info = lstatSync(path);
  const uid = process.getuid?.();
  const wrong = !info.isDirectory()
    ? "is no folder"
    : uid !== undefined && info.uid !== uid
      ? `belongs to another account (uid ${info.uid})`
      : uid !== undefined && (info.mode & 0o022) !== 0
        ? "can be written to by others"
        : undefined;
  if (wrong === undefined) return;
  throw new WorkRootError(
    `the worker's folder for running calls, ${path}, ${wrong}: expected one that only this account can write to. ` +
      "Remove it, or name another place with TMPDIR.",
  );
}
