/** The file of the root key: a seed, as it is or under a passphrase, which is asked for once in a process. */
import { DecodeError, InstanceError, PassphraseError, UsageError } from "../errors.ts";
import { type Root, rootFromSeed } from "../trust/identity.ts";
import { isProtected, LEAST_PASSPHRASE, type ProtectedSeed, parseProtected, protectSeed } from "../trust/passphrase.ts";
import { askHidden } from "./asker.ts";
import { formatSeed, parseSeed, readSecret, writeSecret } from "./files.ts";

/** Names a file (0600) that holds the passphrase, for scripts. */
export const PASSPHRASE_FILE = "HUMQ_ROOT_PASSPHRASE_FILE";
const TRIES = 3;

interface Unlocked {
  seed: Uint8Array;
  passphrase: string;
}

/** What was unlocked in this process, by public key, so that nobody is asked twice. */
const unlocked = new Map<string, Unlocked>();

const idOf = (publicKey: Uint8Array) => Buffer.from(publicKey).toString("base64");

/**
 * The passphrase in a file: its first line.
 * @throws InstanceError where the file is not there, or open to others; UsageError where it is empty
 */
export function passphraseFrom(path: string): string {
  const content = readSecret(path);
  if (content === undefined) throw new InstanceError(`there is no passphrase file ${path}`);
  const [line = ""] = content.toString("utf8").split(/\r?\n/, 1);
  if (line === "")
    throw new UsageError(`the passphrase file ${path} is empty: expected the passphrase in its first line`);
  return line;
}

/** The passphrase file that the environment names. */
function fileFromEnvironment(): string | undefined {
  return process.env[PASSPHRASE_FILE] || undefined;
}

function unlock(path: string, locked: ProtectedSeed): Unlocked {
  const file = fileFromEnvironment();
  if (file !== undefined) {
    const passphrase = passphraseFrom(file);
    try {
      return { seed: locked.open(passphrase), passphrase };
    } catch (error) {
      if (!(error instanceof PassphraseError)) throw error;
      throw new PassphraseError(`${file} does not hold the passphrase of the root key ${path}`);
    }
  }
  for (let left = TRIES; ; left--) {
    const passphrase = askHidden("Passphrase of the root key: ");
    if (passphrase === undefined) {
      throw new PassphraseError(
        `the root key ${path} is protected by a passphrase, and there is no terminal to ask for it on. ` +
          `Put it into a file that only you can read, and name that in ${PASSPHRASE_FILE}.`,
      );
    }
    try {
      return { seed: locked.open(passphrase), passphrase };
    } catch (error) {
      if (!(error instanceof PassphraseError) || left === 1) throw error;
    }
  }
}

function openProtected(path: string, text: string): Unlocked {
  let locked: ProtectedSeed;
  try {
    locked = parseProtected(text);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new InstanceError(`${path}: ${cause.message}`, { cause });
  }
  const id = idOf(locked.publicKey);
  const known = unlocked.get(id);
  if (known !== undefined) return known;
  const opened = unlock(path, locked);
  unlocked.set(id, opened);
  return opened;
}

/** Whether somebody would have to be asked for the passphrase of a root key. */
export function needsPassphrase(path: string): boolean {
  const text = readSecret(path)?.toString("utf8");
  if (text === undefined || !isProtected(text) || fileFromEnvironment() !== undefined) return false;
  return !unlocked.has(idOf(parseProtected(text).publicKey));
}

/** The seed in a root key's file; undefined where there is none. @throws as {@link readRoot} */
export function readRootSeed(path: string): Uint8Array | undefined {
  const content = readSecret(path);
  if (content === undefined) return undefined;
  const text = content.toString("utf8");
  return isProtected(text) ? openProtected(path, text).seed : parseSeed(path, content);
}

/**
 * The root key in a file; undefined where there is none.
 * @throws PassphraseError where the passphrase is wrong, or there is nobody to ask; InstanceError where the file is damaged
 *   or not safe
 */
export function readRoot(path: string): Root | undefined {
  const seed = readRootSeed(path);
  return seed === undefined ? undefined : rootFromSeed(seed);
}

/** The seed of an instance's root key. @throws InstanceError where it is not here; else as {@link readRoot} */
export function rootSeedOf({ name, rootPath }: { name: string; rootPath: string }): Uint8Array {
  const seed = readRootSeed(rootPath);
  if (seed !== undefined) return seed;
  throw new InstanceError(`only the owner of "${name}" can do this: its root key is not here (expected ${rootPath})`);
}

/** The same, as keys. */
export function rootOf(instance: { name: string; rootPath: string }): Root {
  return rootFromSeed(rootSeedOf(instance));
}

/** The passphrase that protects the root key in a file, for another one that takes its place; undefined for none. */
export function passphraseOf(path: string): string | undefined {
  const text = readSecret(path)?.toString("utf8");
  return text !== undefined && isProtected(text) ? openProtected(path, text).passphrase : undefined;
}

/** @throws UsageError where a passphrase is too short to be one */
export function checkPassphrase(passphrase: string): void {
  const { length } = [...passphrase];
  if (length < LEAST_PASSPHRASE) {
    throw new UsageError(
      `a passphrase has ${LEAST_PASSPHRASE} characters or more, got ${length}. Several words are better than one.`,
    );
  }
}

/**
 * Writes the root key, in place of what is there.
 * @param passphrase protects it; without one its file alone does
 */
export function writeRoot(path: string, seed: Uint8Array, passphrase?: string): void {
  if (passphrase === undefined) {
    writeSecret(path, formatSeed(seed));
    return;
  }
  checkPassphrase(passphrase);
  const { publicKey } = rootFromSeed(seed);
  writeSecret(path, `${protectSeed(seed, publicKey, passphrase)}\n`);
  unlocked.set(idOf(publicKey), { seed, passphrase });
}
