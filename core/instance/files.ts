/** Files of an instance: secrets are 0600 in 0700 folders, written whole or not at all. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { InstanceError } from "../errors.ts";

const SECRET_MODE = 0o600;
const FOLDER_MODE = 0o700;

export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
}

/** Writes a file that only its owner may read; a reader sees the old content or the new, never a part. */
export function writePrivate(path: string, content: string | Uint8Array): void {
  makePrivateFolder(dirname(path));
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    writeFileSync(temporary, content, { mode: SECRET_MODE, flag: "wx" });
    chmodSync(temporary, SECRET_MODE);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new InstanceError(`cannot write ${path}: ${(cause as Error).message}`, { cause });
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
 * @throws InstanceError where others than its owner may read it
 */
export function readSecret(path: string): Buffer | undefined {
  const content = readIfPresent(path);
  if (content === undefined) return undefined;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0 && process.platform !== "win32") {
    throw new InstanceError(
      `${path} is open to others (mode ${mode.toString(8)}, expected 600). Run: chmod 600 ${path} - and think about who may have read it.`,
    );
  }
  return content;
}

/** Seeds are kept as 64 hexadecimal characters. */
export function readSeed(path: string): Uint8Array | undefined {
  const content = readSecret(path)?.toString("ascii").trim();
  if (content === undefined) return undefined;
  if (!/^[0-9a-f]{64}$/.test(content)) {
    throw new InstanceError(`${path} is damaged: expected 64 hexadecimal characters. Restore it from a backup.`);
  }
  return Uint8Array.from(Buffer.from(content, "hex"));
}

export function writeSeed(path: string, seed: Uint8Array): void {
  writePrivate(path, `${Buffer.from(seed).toString("hex")}\n`);
}
