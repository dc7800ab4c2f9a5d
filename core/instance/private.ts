/** What makes a file or folder one person's own: owner, mode, kind, and who could put another in its place. */
import { constants, fstatSync, lstatSync, openSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InstanceError } from "../errors.ts";

export const SECRET_MODE = 0o600;
export const FOLDER_MODE = 0o700;

/** Windows keeps secrets by where they lie (the profile), and has neither modes nor owners of this kind. */
const HAS_MODES = process.platform !== "win32";

function modeOf({ mode }: Stats): number {
  return mode & 0o777;
}

function openToOthers(stats: Stats): boolean {
  return (modeOf(stats) & 0o077) !== 0;
}

function isMine({ uid }: Stats): boolean {
  return uid === process.geteuid?.();
}

/** Why a secret is not safe in a file or folder, and what to do; undefined where it is. */
function fault(path: string, stats: Stats, expected: number): string | undefined {
  if (!isMine(stats)) {
    return `${path} belongs to another account (user id ${stats.uid}, you are ${process.geteuid?.()}). Work as that account, or make the keys anew.`;
  }
  if (!openToOthers(stats)) return undefined;
  const [is, should] = [modeOf(stats).toString(8), expected.toString(8)];
  return `${path} is open to others (mode ${is}, expected ${should}). Run: chmod ${should} '${path}' - and think about who may have read it.`;
}

/**
 * A folder above in which everybody may rename things: they could put others in place of ours. Groups are left alone: many
 * systems give each account one of its own, and what a member could put there belongs to that member and is refused.
 */
function parentFault(folder: string): string | undefined {
  for (let path = dirname(folder); path !== dirname(path); path = dirname(path)) {
    const stats = statSync(path);
    const sticky = (stats.mode & 0o1000) !== 0;
    if ((stats.mode & 0o002) === 0 || sticky) continue;
    const advice = isMine(stats) ? `Run: chmod o-w '${path}'` : "Choose another place with HUMQ_HOME.";
    return `others may replace what lies in ${path} (mode ${modeOf(stats).toString(8)}). ${advice}`;
  }
  return undefined;
}

/** Why secrets are not safe in a folder; undefined where they are, or where there is none. */
export function folderFault(folder: string): string | undefined {
  if (!HAS_MODES) return undefined;
  const path = resolve(folder);
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch {
    return undefined;
  }
  if (!stats.isDirectory()) return `${path} is not a folder`;
  return fault(path, stats, FOLDER_MODE) ?? parentFault(path);
}

/** @throws InstanceError where others could read or replace what is in the folder */
export function checkFolder(folder: string): void {
  const why = folderFault(folder);
  if (why !== undefined) throw new InstanceError(why);
}

/** Why a file is no place for a secret; undefined where it is one. A link is none: what is at its end is not looked after. */
export function fileFault(path: string): string | undefined {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return `${path} is a link, expected a file`;
  return HAS_MODES ? fault(path, stats, SECRET_MODE) : undefined;
}

/**
 * Opens a secret file, and looks at what was opened rather than at what has its name a moment later.
 * @returns its descriptor; undefined where there is none
 * @throws InstanceError where it or its folder is open to others or another's, or it is a link or no file
 */
export function openSecret(path: string): number | undefined {
  let file: number;
  try {
    // Not blocking: a pipe in its place would be waited for.
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP") throw new InstanceError(`${path} is a link, expected a file. Put the file itself there.`);
    throw new InstanceError(`cannot read ${path}: ${message}`, { cause });
  }
  const stats = fstatSync(file);
  if (!stats.isFile()) throw new InstanceError(`${path} is not a file`);
  const why = HAS_MODES ? (fault(path, stats, SECRET_MODE) ?? folderFault(dirname(path))) : undefined;
  if (why !== undefined) throw new InstanceError(why);
  return file;
}
