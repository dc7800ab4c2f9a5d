/**
 * Resource limits of the kernel (setrlimit(2)) for what a program and all that it starts may take. Node cannot set them, so a
 * shell does and then becomes the program: a millisecond.
 *
 * They are walls behind the limits that the worker watches over itself: a call that is over those ends with a message that
 * says so, and until the worker has looked, nothing gets further than the wall.
 */
import { release } from "node:os";

export interface Walls {
  /** Open files of each process. */
  openFiles?: number;
  /** Size of each file, in bytes. */
  fileBytes?: number;
  /** Processes and threads; holds in a sandbox of an account that is not root. */
  processes?: number;
  /** Tells what the program started from all else, see ./mark.ts. */
  mark?: number;
}

/** POSIX: `ulimit -f` counts in these, whichever shell it is. */
const FILE_UNIT_BYTES = 512;

/**
 * Since Linux 5.14 a user namespace, so a sandbox, has a count of its own. Before, all processes of the account counted, and
 * a call would fail for what others of it run.
 */
function countsBySandbox(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 14);
}

/** Shells call some of them by different letters; where neither is known, or the limit is lower already, it stays as it is. */
function either(letters: readonly string[], value: number): string {
  return `${letters.map((letter) => `ulimit -${letter} ${value} 2>/dev/null`).join(" || ")} || :`;
}

/** The program with its arguments, behind the walls; it never leaves a core file. */
export function behindWalls(walls: Walls, program: readonly string[]): string[] {
  const { openFiles, fileBytes, processes, mark } = walls;
  const lines = [either(["c"], 0)];
  if (openFiles !== undefined) lines.push(either(["n"], openFiles));
  if (fileBytes !== undefined) lines.push(either(["f"], Math.ceil(fileBytes / FILE_UNIT_BYTES)));
  if (processes !== undefined && countsBySandbox()) lines.push(either(["u", "p"], processes));
  if (mark !== undefined) lines.push(either(["w", "x"], mark));
  return ["/bin/sh", "-c", `${lines.join("\n")}\nexec "$@"`, "sh", ...program];
}
