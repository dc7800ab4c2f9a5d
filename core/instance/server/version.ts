import { run } from "./run.ts";

/** Atomic batches, message schedules and the fixes humq relies on are in this nats-server and later ones. */
export const MINIMUM_SERVER_VERSION = "2.15.0";

/** Versions humq fetches where a machine has none that is good enough, best first. */
export const FETCHED_VERSIONS: readonly string[] = ["2.15.2", "2.15.1"];

/** This version is not to be had this way (an older one may be); any other failure would hit every version alike. */
export class NotPublishedError extends Error {
  override readonly name = "NotPublishedError";
}

/** The version in a line such as `nats-server: v2.15.1`, or undefined where there is none. */
export function parseVersion(text: string): string | undefined {
  return /\bv?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)/.exec(text)?.[1];
}

/** Negative, 0 or positive as `a` is older than, equal to or newer than `b`; a pre-release is older than its release. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return Number(right.preRelease) - Number(left.preRelease);
}

function split(version: string): { numbers: number[]; preRelease: boolean } {
  const [release = "", ...rest] = version.split("-");
  return { numbers: release.split(".").map(Number), preRelease: rest.length > 0 };
}

export function isNewEnough(version: string): boolean {
  return compareVersions(version, MINIMUM_SERVER_VERSION) >= 0;
}

/**
 * Ask a nats-server for its version.
 * @throws Error with a sentence where the file cannot be run or does not answer like a nats-server.
 */
export async function readServerVersion(binary: string): Promise<string> {
  const { stdout } = await run(binary, ["--version"], { timeoutMs: 10_000 });
  const version = stdout.startsWith("nats-server:") ? parseVersion(stdout) : undefined;
  if (version === undefined) {
    throw new Error(`${binary} does not look like nats-server: "--version" printed ${JSON.stringify(stdout.trim())}`);
  }
  return version;
}
