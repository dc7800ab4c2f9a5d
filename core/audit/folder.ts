/** Which audit logs lie in a folder, and with what heads. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { InstanceError } from "../errors.ts";
import { type Head, parseHead, parseHeadFile, parseLogFile } from "./format.ts";

export interface FoundLog {
  log: string;
  /** Paths of its files, by number. */
  files: Map<number, string>;
  /** As the head file says; undefined where there is none. */
  head: Head | "unreadable" | undefined;
  /** Modes of its files that let others in, with their paths. */
  open: string[];
}

function openToOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

/** @returns by name; none where there is no such folder */
export function findLogs(folder: string): FoundLog[] {
  const found = new Map<string, FoundLog>();
  const of = (log: string): FoundLog => {
    const known = found.get(log) ?? { log, files: new Map(), head: undefined, open: [] };
    found.set(log, known);
    return known;
  };
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const file = parseLogFile(name);
    const headOf = parseHeadFile(name);
    const log = file?.log ?? headOf;
    if (log === undefined) continue;
    if (openToOthers(path)) of(log).open.push(path);
    if (file !== undefined) of(log).files.set(file.number, path);
    // Before the records: what is written meanwhile is behind it.
    else of(log).head = parseHead(readFileSync(path, "latin1")) ?? "unreadable";
  }
  return [...found.values()].sort((a, b) => a.log.localeCompare(b.log));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new InstanceError(`cannot read ${folder}: ${(cause as Error).message}`, { cause });
  }
}
