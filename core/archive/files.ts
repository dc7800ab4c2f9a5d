import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { ArchiveError } from "../errors.ts";

export interface WriteOptions {
  /** Replace a file that exists. Default false. */
  overwrite?: boolean;
}

const PRIVATE_MODE = 0o600;

/** An empty file (mode 0600) in a folder of its own (mode 0700) under the system's folder for temporary files. */
export function makeTemporaryFile(): string {
  const path = join(mkdtempSync(join(tmpdir(), "humq-")), "archive.db");
  closeSync(openSync(path, "wx", PRIVATE_MODE));
  return path;
}

/** Makes `path` an empty file that nobody else can read, for SQLite to fill: it would make one that they can. */
export function makePart(path: string): void {
  const file = openSync(path, "wx", PRIVATE_MODE);
  fchmodSync(file, PRIVATE_MODE);
  closeSync(file);
}

export function removeTemporaryFile(path: string): void {
  rmSync(dirname(path), { recursive: true, force: true });
}

/** A name beside `path`, on the same file system, for what is to take its place once it is complete. */
export function partPath(path: string): string {
  // So short that it is never too long where the name itself is not.
  const name = basename(path).slice(0, 50);
  return join(dirname(path), `.${name}.${process.pid}-${randomBytes(4).toString("hex")}.part`);
}

/**
 * @throws ArchiveError if a file cannot be put at `path`, before any work is done for it.
 */
export function checkTarget(path: string, { overwrite = false }: WriteOptions): void {
  if (path.includes("\0")) throw new ArchiveError(`${JSON.stringify(path)} cannot be the name of a file`);
  const folder = dirname(path);
  if (!existsSync(folder)) throw new ArchiveError(`${path} cannot be written: there is no folder ${folder}`);
  // A link that leads nowhere is there as well.
  if (!isThere(path)) return;
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw new ArchiveError(`${path} is a folder; name a file in it`);
  if (!overwrite) throw existing(path);
  if (there !== undefined && !there.isFile()) throw new ArchiveError(`${path} is no file, and is not replaced`);
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): ArchiveError {
  return new ArchiveError(`${path} cannot be written: ${(cause as Error).message}`, { cause });
}

function existing(path: string): ArchiveError {
  return new ArchiveError(`${path} exists; choose another name, or set overwrite to replace it`);
}

/**
 * Moves the complete file `part`, which lies beside it, to `path`: others see the old file or the new one, nothing
 * between. It keeps the permissions of the file it replaces; a new one is its owner's alone, since it holds results in the clear.
 */
export function install(part: string, path: string, options: WriteOptions): void {
  checkTarget(path, options);
  const replaces = isThere(path);
  // In the place of a link, not of what it leads to.
  const mode = (replaces ? statSync(path, { throwIfNoEntry: false })?.mode : undefined) ?? PRIVATE_MODE;
  if (!replaces) claim(path);
  try {
    chmodSync(part, mode & 0o777);
    syncFile(part);
    // SQLite would play a log that the old file left behind into the new one.
    for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
    renameSync(part, path);
  } catch (error) {
    if (!replaces) rmSync(path, { force: true });
    throw unwritable(path, error);
  }
}

/** Makes `path` an empty file, unless something is there. */
function claim(path: string): void {
  try {
    closeSync(openSync(path, "wx", PRIVATE_MODE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw existing(path);
    throw unwritable(path, error);
  }
}

function syncFile(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** As {@link install}, for a file that may be on another file system; it is gone afterwards unless this failed. */
export function installFromAnywhere(source: string, path: string, options: WriteOptions): void {
  const part = partPath(path);
  const moved = moveOrCopy(source, part);
  try {
    install(part, path, options);
  } catch (error) {
    if (moved) renameSync(part, source);
    else rmSync(part, { force: true });
    throw error;
  }
  if (!moved) rmSync(source);
}

/** Whether a rename did it. */
function moveOrCopy(source: string, target: string): boolean {
  try {
    renameSync(source, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(source, target);
    return false;
  }
}
