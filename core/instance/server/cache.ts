import { chmod, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { InstanceError } from "../../errors.ts";
import { type Lock, tryLock } from "./lock.ts";
import { compareVersions, isNewEnough, readServerVersion } from "./version.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const SUFFIX = `-${process.platform}-${process.arch}`;
const PREFIX = "nats-server-v";
const WORK_PREFIX = "fetching-";
const LOCK_POLL_MS = 100;

/** A nats-server that was asked for its version. */
export interface Binary {
  path: string;
  version: string;
}

/** Where humq keeps programs it fetched: `$HUMQ_CACHE`, else `$XDG_CACHE_HOME/humq`, else `~/.cache/humq`. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HUMQ_CACHE) return resolve(env.HUMQ_CACHE);
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), ".cache"), "humq");
}

/**
 * The newest usable nats-server in the cache. The file's name holds version, system and processor, since a home
 * directory may be shared by machines of several kinds.
 */
export async function findCached(cache: string): Promise<Binary | undefined> {
  const names = await readdir(cache).catch(() => []);
  const versions = names
    .filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX))
    .map((name) => name.slice(PREFIX.length, -SUFFIX.length))
    .filter(isNewEnough)
    .sort(compareVersions)
    .reverse();
  for (const version of versions) {
    const path = join(cache, PREFIX + version + SUFFIX);
    const found = await readServerVersion(path).catch(() => undefined);
    if (found !== undefined && isNewEnough(found)) return { path, version: found };
  }
  return undefined;
}

/**
 * Let one process at a time fetch: the others wait, then find what the first one brought.
 * @param onWait called once where another process is at it
 * @throws InstanceError where the cache cannot be written.
 */
export async function withCacheLock<T>(cache: string, onWait: () => void, use: () => Promise<T>): Promise<T> {
  const path = join(cache, "fetch.lock");
  let lock: Lock | undefined;
  try {
    lock = tryLock(path);
    if (lock === undefined) onWait();
    while (lock === undefined) {
      await delay(LOCK_POLL_MS);
      lock = tryLock(path);
    }
  } catch (cause) {
    throw notWritable(cache, cause);
  }
  try {
    return await use();
  } finally {
    lock.release();
  }
}

/**
 * Run `use` with an empty directory inside the cache, removed afterwards.
 * @throws InstanceError where the cache cannot be written.
 */
export async function withWorkDirectory<T>(cache: string, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await makeWorkDirectory(cache);
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function makeWorkDirectory(cache: string): Promise<string> {
  try {
    await removeAbandoned(cache);
    return await mkdtemp(join(cache, WORK_PREFIX));
  } catch (cause) {
    throw notWritable(cache, cause);
  }
}

function notWritable(cache: string, cause: unknown): InstanceError {
  return new InstanceError(
    `nats-server has to be fetched, and the cache directory ${cache} cannot be written (${(cause as Error).message}). ` +
      "Set HUMQ_CACHE to a directory you can write, or HUMQ_NATS_SERVER to a nats-server you have.",
    { cause },
  );
}

/** A process that was killed in the middle of a fetch leaves its work directory behind. */
async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(WORK_PREFIX)) continue;
    const path = join(cache, name);
    const info = await stat(path).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > DAY_MS) await rm(path, { recursive: true, force: true });
  }
}

/**
 * Check a fetched program and put it into the cache in one step (rename), so that another process sees all of it or
 * nothing. `file` must be on the cache's file system.
 */
export async function installIntoCache(cache: string, file: string): Promise<Binary> {
  await chmod(file, 0o755);
  const version = await readServerVersion(file);
  if (!isNewEnough(version)) throw new Error(`it brought nats-server ${version}, which is too old`);
  const path = join(cache, PREFIX + version + SUFFIX);
  await rename(file, path);
  return { path, version };
}
