/**
 * Installs the packages that a tag names, once for each user and set.
 *
 * A set is installed into a fresh folder, made read-only and renamed into its place: it is there whole or not at all,
 * and two workers that install the same set at once do no harm (the second one's folder is dropped). With bubblewrap
 * the installer, and the packages' own install scripts, run in the sandbox, which holds nothing but the folder and the
 * user's npm cache.
 */
import { chmod, lstat, mkdir, mkdtemp, readdir, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeFolder } from "../executor/remove-folder.ts";
import type { Isolation } from "../isolation/isolation.ts";
import type { Allowance } from "../limits/allowance.ts";
import { npmCacheFolder, packagesFolder, setDigest } from "./folders.ts";
import { npmInstall, PackageInstallError } from "./npm.ts";
import { type PackageSpec, parseSpecs } from "./specs.ts";

export interface PackageOptions {
  /** The worker's folder for packages of all users. */
  cacheDir: string;
  /** The submitter's NATS user nkey. */
  user: string;
  isolation: Isolation;
  /** `none`: packages are fetched, but what they run when they are installed gets no network. Default `host`. */
  network?: "host" | "none";
  /** What an installation may take. Default: no limit. */
  allowance?: Allowance;
  /** Whether packages may run scripts when they are installed. Default true: their code runs anyway. */
  scripts?: boolean;
  /** npm's output as it comes. */
  onOutput?: (text: string) => void;
}

/** A failed set is not tried again for so long. */
const FAILURE_KEPT_MS = 60_000;
/** A folder that an installer left so long ago is nobody's. */
const STALE_MS = 24 * 60 * 60_000;
const STAGING = "staging-";

const underWay = new Map<string, Promise<string>>();
const failures = new Map<string, { error: PackageInstallError; atMs: number }>();

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Links are left alone: npm makes them only within the set. */
async function makeReadOnly(path: string): Promise<void> {
  const info = await lstat(path);
  if (info.isSymbolicLink()) return;
  if (info.isDirectory()) for (const name of await readdir(path)) await makeReadOnly(join(path, name));
  await chmod(path, info.mode & 0o555);
}

async function removeStaging(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name);
    if (!name.startsWith(STAGING)) continue;
    const info = await stat(path).catch(() => undefined);
    if (info === undefined || Date.now() - info.mtimeMs < STALE_MS) continue;
    await removeFolder(path);
  }
}

async function installInto(target: string, specs: readonly PackageSpec[], options: PackageOptions): Promise<string> {
  if (await exists(target)) return target;
  // Beside the sets and not among them: executors are shown the sets.
  const stagingRoot = dirname(dirname(target));
  const npmCache = npmCacheFolder(options.cacheDir, options.user);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await mkdir(npmCache, { recursive: true, mode: 0o700 });
  await removeStaging(stagingRoot);
  const folder = await mkdtemp(join(stagingRoot, STAGING));
  try {
    const dependencies = Object.fromEntries(specs.map(({ name, range }) => [name, range]));
    // npm 11 runs all install scripts and warns of those not allowed by name; a later one will run only these.
    const allowScripts = Object.fromEntries(specs.map(({ name }) => [name, true]));
    const manifest = { name: "humq-packages", private: true, dependencies, allowScripts };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await npmInstall({
      folder,
      npmCache,
      isolation: options.isolation,
      network: options.network ?? "host",
      allowance: options.allowance,
      scripts: options.scripts ?? true,
      onOutput: options.onOutput,
    });
    await makeReadOnly(folder);
    // A folder itself must be writable to be renamed on some systems; what is in it is read-only already.
    await chmod(folder, 0o700);
    await rename(folder, target);
    await chmod(target, 0o500);
    return target;
  } catch (error) {
    await removeFolder(folder);
    // Another worker was faster.
    if (await exists(target)) return target;
    throw error;
  }
}

/**
 * @param specs npm packages, `name` or `name@range`
 * @returns the folder that holds their `node_modules`, for `packagesDir` of the tag's setup
 * @throws UsageError where a spec is not a registry package
 * @throws PackageInstallError where npm fails; the same set is then refused for a minute with the same error
 */
export async function installPackages(specs: readonly string[], options: PackageOptions): Promise<string> {
  const parsed = parseSpecs(specs);
  const target = join(packagesFolder(options.cacheDir, options.user), setDigest(parsed));
  const failure = failures.get(target);
  if (failure !== undefined) {
    if (Date.now() - failure.atMs < FAILURE_KEPT_MS) throw failure.error;
    failures.delete(target);
  }
  let work = underWay.get(target);
  if (work === undefined) {
    work = installInto(target, parsed, options).finally(() => underWay.delete(target));
    underWay.set(target, work);
  }
  try {
    return await work;
  } catch (cause) {
    const names = parsed.map(({ name, range }) => `${name}@${range}`).join(", ");
    const message = `the packages ${names} could not be installed on the worker: ${(cause as Error).message}`;
    const error = new PackageInstallError(message, { cause });
    failures.set(target, { error, atMs: Date.now() });
    throw error;
  }
}
