import { ArchiveError } from "../errors.ts";

const DAMAGED = "it is damaged; use a copy, or pull the tag again into a new file";

/** What SQLite's result codes (https://sqlite.org/rescode.html) mean to whoever has the file. */
const ADVICE: Readonly<Record<number, string>> = {
  5: "another process has been writing to it for too long; end it, or try again",
  8: "it, or its folder, cannot be written to",
  10: "the disk reported an error",
  11: DAMAGED,
  13: "the disk is full; make room and try again: what was filed before is kept",
  14: "it, or its folder, cannot be opened or written to",
  26: DAMAGED,
};

/**
 * Does something with the file at `path`.
 *
 * @throws ArchiveError instead of SQLite's own errors, with what to do.
 */
export function guarded<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const { code, errcode, message } = error as NodeJS.ErrnoException & { errcode?: number };
    if (code === "ERR_INVALID_STATE") throw new ArchiveError(`the archive ${path} is closed`, { cause: error });
    // A number beyond 2^53, a text beyond what a string holds: nothing that humq writes.
    if (code === "ERR_OUT_OF_RANGE" || code === "ERR_STRING_TOO_LONG") {
      throw new ArchiveError(`the archive ${path}: ${DAMAGED} (${message})`, { cause: error });
    }
    if (code !== "ERR_SQLITE_ERROR") throw error;
    // The low byte is the code; the rest says more than anybody can act on.
    const advice = ADVICE[(errcode ?? 0) & 0xff];
    throw new ArchiveError(`the archive ${path}: ${advice === undefined ? message : `${advice} (${message})`}`, {
      cause: error,
    });
  }
}
