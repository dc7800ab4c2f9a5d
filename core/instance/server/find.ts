import { delimiter, join, resolve } from "node:path";
import { InstanceError } from "../../errors.ts";
import {
  type Binary,
  cacheDirectory,
  findCached,
  installIntoCache,
  withCacheLock,
  withWorkDirectory,
} from "./cache.ts";
import { fetchDebianPackage } from "./debian.ts";
import { buildWithGo } from "./go.ts";
import { fetchRelease, RELEASES_URL } from "./release.ts";
import {
  FETCHED_VERSIONS,
  isNewEnough,
  MINIMUM_SERVER_VERSION,
  NotPublishedError,
  readServerVersion,
} from "./version.ts";

/** A way to fetch a nats-server into the cache. docs/decisions/0001 says why in this order. */
export type FetchWay = "release" | "go" | "debian";

export const FETCH_WAYS: readonly FetchWay[] = ["release", "debian", "go"];

/** A nats-server that is new enough, and where it was found. */
export interface FoundServer extends Binary {
  source: "env" | "path" | "cache" | FetchWay;
}

export interface FindServerOptions {
  /** Called with one sentence per step that a user may have to wait for. */
  onProgress?: (message: string) => void;
  /** Ways to fetch, in order. Default: release, debian, go. */
  ways?: readonly FetchWay[];
  /** Read instead of `process.env`: HUMQ_NATS_SERVER, HUMQ_CACHE, XDG_CACHE_HOME, PATH. */
  env?: NodeJS.ProcessEnv;
  /** Where official releases are; default: the NATS project's. */
  releasesUrl?: string;
}

/**
 * A nats-server of at least 2.15.0: the one `HUMQ_NATS_SERVER` names, else one on PATH, else one in humq's cache,
 * else fetched into the cache, without root: the official release, `go install`, or Debian's package.
 *
 * @throws InstanceError where HUMQ_NATS_SERVER is set and cannot be used (nothing else is tried then), and where
 * every way failed: the message lists each with its reason and how to install one by hand.
 */
export async function findNatsServer(options: FindServerOptions = {}): Promise<FoundServer> {
  const env = options.env ?? process.env;
  if (env.HUMQ_NATS_SERVER) return { ...(await checkNamed(env.HUMQ_NATS_SERVER)), source: "env" };

  const rejected: string[] = [];
  const onPath = await findOnPath(env, rejected);
  if (onPath !== undefined) return { ...onPath, source: "path" };

  const cache = cacheDirectory(env);
  const cached = await findCached(cache);
  if (cached !== undefined) return { ...cached, source: "cache" };

  const say = options.onProgress ?? (() => {});
  return await withCacheLock(
    cache,
    () => say("Waiting for another humq that is fetching nats-server"),
    async () => {
      const brought = await findCached(cache);
      return brought === undefined ? await fetchIntoCache(cache, options, rejected) : { ...brought, source: "cache" };
    },
  );
}

async function fetchIntoCache(cache: string, options: FindServerOptions, rejected: string[]): Promise<FoundServer> {
  for (const way of options.ways ?? FETCH_WAYS) {
    try {
      const binary = await withWorkDirectory(cache, async (directory) =>
        installIntoCache(cache, await fetchBy(way, directory, options)),
      );
      return { ...binary, source: way };
    } catch (error) {
      if (error instanceof InstanceError) throw error;
      rejected.push(`${WAY_NAMES[way]}: ${(error as Error).message}`);
    }
  }
  throw new InstanceError(
    `humq needs nats-server ${MINIMUM_SERVER_VERSION} or newer and could not get one here. Tried:\n` +
      rejected.map((line) => `  - ${line}\n`).join("") +
      "Install it by hand (https://github.com/nats-io/nats-server/releases) and put it on PATH, " +
      "or set HUMQ_NATS_SERVER to the program's path.",
  );
}

const WAY_NAMES: Record<FetchWay, string> = {
  release: "official release",
  go: "go install",
  debian: "Debian package",
};

async function fetchBy(way: FetchWay, directory: string, options: FindServerOptions): Promise<string> {
  const say = options.onProgress ?? (() => {});
  switch (way) {
    case "release":
      return await firstVersion((version) => {
        say(`Downloading nats-server ${version} (official release)`);
        return fetchRelease(directory, version, options.releasesUrl ?? RELEASES_URL);
      });
    case "go":
      return await firstVersion((version) => {
        say(`Building nats-server ${version} with Go (a minute or so, once)`);
        return buildWithGo(directory, version);
      });
    case "debian":
      say("Taking nats-server from Debian's package");
      return await fetchDebianPackage(directory);
  }
}

/** The newest version that can be had; a new one may not be published everywhere yet. */
async function firstVersion(fetch: (version: string) => Promise<string>): Promise<string> {
  const reasons: string[] = [];
  for (const version of FETCHED_VERSIONS) {
    try {
      return await fetch(version);
    } catch (error) {
      if (!(error instanceof NotPublishedError)) throw error;
      reasons.push(error.message);
    }
  }
  throw new Error(reasons.join("; "));
}

async function checkNamed(named: string): Promise<Binary> {
  const path = resolve(named);
  const hint = `Set HUMQ_NATS_SERVER to a nats-server ${MINIMUM_SERVER_VERSION} or newer, or unset it.`;
  let version: string;
  try {
    version = await readServerVersion(path);
  } catch (cause) {
    throw new InstanceError(
      `HUMQ_NATS_SERVER names a program that does not work: ${(cause as Error).message}. ${hint}`,
      {
        cause,
      },
    );
  }
  if (!isNewEnough(version)) {
    throw new InstanceError(`HUMQ_NATS_SERVER names ${path}, which is nats-server ${version}: too old. ${hint}`);
  }
  return { path, version };
}

/** The first nats-server on PATH that is new enough; what was passed over goes to `rejected`. */
async function findOnPath(env: NodeJS.ProcessEnv, rejected: string[]): Promise<Binary | undefined> {
  let missing = true;
  for (const directory of (env.PATH ?? "").split(delimiter).filter(Boolean)) {
    const path = resolve(join(directory, "nats-server"));
    try {
      const version = await readServerVersion(path);
      if (isNewEnough(version)) return { path, version };
      rejected.push(`PATH: ${path} is nats-server ${version}, too old`);
      missing = false;
    } catch (error) {
      if ((error as Error).message === `${path} was not found`) continue;
      rejected.push(`PATH: ${(error as Error).message}`);
      missing = false;
    }
  }
  if (missing) rejected.push("PATH: no nats-server on it");
  return undefined;
}
