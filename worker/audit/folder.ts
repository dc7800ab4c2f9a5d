/** The folder of a machine's audit logs, as a worker finds it when it starts. */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Head, parseHead, parseHeadFile } from "../../core/audit/format.ts";
import { InstanceError } from "../../core/errors.ts";

/** Other logs that a new one speaks of. */
const OTHERS_MOST = 16;

export function notKept(path: string, cause: Error): InstanceError {
  return new InstanceError(
    `the audit log cannot be kept in ${path}: ${cause.message}. A worker does not run without it.`,
    { cause },
  );
}

/** @throws InstanceError where it cannot be made, or others may write or read in it */
export function openFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw notKept(path, cause as Error);
  }
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0 && process.platform !== "win32") {
    throw new InstanceError(
      `${path} is open to others (mode ${mode.toString(8)}, expected 700), so the audit logs in it prove nothing. ` +
        `Run: chmod 700 ${path} - and think about who may have changed them.`,
    );
  }
}

/** The logs that are there already, the newest first: whoever removes or shortens one of them later is found out. */
export function otherHeads(folder: string): Record<string, Head> {
  const found: { log: string; path: string; changedMs: number }[] = [];
  for (const name of readdirSync(folder)) {
    const log = parseHeadFile(name);
    if (log === undefined) continue;
    const path = join(folder, name);
    found.push({ log, path, changedMs: statSync(path).mtimeMs });
  }
  found.sort((a, b) => b.changedMs - a.changedMs);
  const heads: Record<string, Head> = {};
  for (const { log, path } of found.slice(0, OTHERS_MOST)) {
    const head = parseHead(readFileSync(path, "ascii"));
    if (head !== undefined) heads[log] = head;
  }
  return heads;
}
