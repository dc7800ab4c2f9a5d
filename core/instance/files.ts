/** Files of an instance: secrets are 0600 in 0700 folders, written whole or not at all, and refused where they are looser. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { InstanceError } from "../errors.ts";
import { keepOutOfCoreDumps } from "./core-dumps.ts";
import { checkFolder, FOLDER_MODE, openSecret, SECRET_MODE } from "./private.ts";

/** Makes a folder, and those above it, for its owner alone, whatever the umask is. One that is there stays as it is. */
export function makePrivateFolder(path: string): void {
  const whole = resolve(path);
  const first = mkdirSync(whole, { recursive: true, mode: FOLDER_MODE });
  if (first === undefined) return;
  chmodSync(first, FOLDER_MODE);
  let made = first;
  for (const part of relative(first, whole).split(sep).filter(Boolean)) {
    made = join(made, part);
    chmodSync(made, FOLDER_MODE);
  }
}

/** A whole file beside `path`, which nobody else can read at any moment; its name. */
function writeBeside(path: string, content: string | Uint8Array): string {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const file = openSync(temporary, "wx", SECRET_MODE);
  try {
    fchmodSync(file, SECRET_MODE);
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** Writes a file that only its owner may read; a reader sees the old content or the new, never a part. */
export function writePrivate(path: string, content: string | Uint8Array): void {
  let temporary: string | undefined;
  try {
    makePrivateFolder(dirname(path));
    temporary = writeBeside(path, content);
    renameSync(temporary, path);
  } catch (cause) {
    if (temporary !== undefined) rmSync(temporary, { force: true });
    throw new InstanceError(`cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** The same, for a secret. @throws InstanceError where others could read or replace what is in the folder */
export function writeSecret(path: string, content: string | Uint8Array): void {
  checkFolder(dirname(path));
  writePrivate(path, content);
}

/**
 * Writes a secret where there is none yet: of several that do so at once one succeeds.
 * @returns whether it was this one
 */
export function createSecret(path: string, content: string | Uint8Array): boolean {
  checkFolder(dirname(path));
  let temporary: string | undefined;
  try {
    makePrivateFolder(dirname(path));
    temporary = writeBeside(path, content);
    linkSync(temporary, path);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new InstanceError(`cannot write ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    if (temporary !== undefined) rmSync(temporary, { force: true });
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** The content of a file, or undefined where there is none. */
export function readIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new InstanceError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The content of a secret file, or undefined where there is none.
 * @throws InstanceError where others than its owner may read it or put another in its place, where it belongs to another
 *   account, or is a link
 */
export function readSecret(path: string): Buffer | undefined {
  const file = openSecret(path);
  if (file === undefined) return undefined;
  keepOutOfCoreDumps();
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new InstanceError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    closeSync(file);
  }
}

/** Seeds are kept as 64 hexadecimal characters. @throws InstanceError where `content` is something else */
export function parseSeed(path: string, content: Buffer): Uint8Array {
  const text = content.toString("ascii").trim();
  if (/^[0-9a-f]{64}$/.test(text)) return Uint8Array.from(Buffer.from(text, "hex"));
  throw new InstanceError(`${path} is damaged: expected 64 hexadecimal characters. Restore it from a backup.`);
}

export function formatSeed(seed: Uint8Array): string {
  return `${Buffer.from(seed).toString("hex")}\n`;
}

export function readSeed(path: string): Uint8Array | undefined {
  const content = readSecret(path);
  return content === undefined ? undefined : parseSeed(path, content);
}
