/** Where package sets lie: `<cache>/<user>/sets/<digest>`, and npm's download cache beside them. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { UsageError } from "../../core/errors.ts";
import type { PackageSpec } from "./specs.ts";

function userFolder(cacheDir: string, user: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(user))
    throw new UsageError(`not a user key: ${JSON.stringify(user.slice(0, 100))}`);
  return join(cacheDir, user);
}

/** All package sets of a user: the folder that the user's executors see (`packagesRootOf` of the pool). */
export function packagesFolder(cacheDir: string, user: string): string {
  return join(userFolder(cacheDir, user), "sets");
}

/** npm's cache, never shared between users: install scripts can write to it. */
export function npmCacheFolder(cacheDir: string, user: string): string {
  return join(userFolder(cacheDir, user), "npm");
}

/** Names a set by what is in it and by what it was built for. */
export function setDigest(specs: readonly PackageSpec[]): string {
  const { platform, arch, versions } = process;
  const what = JSON.stringify([specs.map(({ name, range }) => [name, range]), platform, arch, versions.modules]);
  return createHash("sha256").update(what).digest("hex");
}
