import { access, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianMirrors } from "./aptSources.ts";
import { run } from "./run.ts";

/** The first Debian release whose nats-server is new enough. */
const SUITE = "forky";
const KEYRINGS = ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
const MOST_MIRRORS = 3;
const TIMEOUT_MS = 3 * 60 * 1000;

/**
 * Take nats-server out of Debian's package, from the mirror this machine's own apt uses. Everything apt writes
 * (indexes, cache, package) stays in `directory`: no root, and nothing of the system changes.
 * @returns the program's path.
 * @throws Error with a sentence for each mirror that was tried.
 */
export async function fetchDebianPackage(directory: string, etcApt?: string): Promise<string> {
  const tree = await downloadDebianPackages(directory, { suite: SUITE, packages: ["nats-server"], etcApt });
  const program = await firstThatExists(["sbin", "bin"].map((bin) => join(tree, "usr", bin, "nats-server")));
  if (program === undefined) throw new Error("Debian's package holds no nats-server program");
  return program;
}

export interface DebianPackages {
  /** A release's code name, such as "forky". */
  suite: string;
  /** As apt names them. What they depend on is not fetched. */
  packages: readonly string[];
  etcApt?: string | undefined;
}

/**
 * Unpack packages of Debian's main archive, from the mirror this machine's own apt uses. Everything apt writes
 * (indexes, cache, packages) stays in `directory`: no root, and nothing of the system changes.
 * @returns the folder that stands for `/`
 * @throws Error with a sentence for each mirror that was tried.
 */
export async function downloadDebianPackages(directory: string, wanted: DebianPackages): Promise<string> {
  const keyring = await firstThatExists(KEYRINGS);
  if (keyring === undefined) throw new Error("no Debian archive keyring here, so a package could not be checked");
  const mirrors = await debianMirrors(wanted.etcApt);
  if (mirrors.length === 0) throw new Error("apt has no Debian mirror in its sources");
  const reasons: string[] = [];
  for (const [index, mirror] of mirrors.slice(0, MOST_MIRRORS).entries()) {
    const work = join(directory, `mirror${index}`);
    try {
      const debs = await fetchFrom(work, mirror, keyring, wanted);
      const tree = join(directory, "tree");
      for (const deb of debs) await run("dpkg-deb", ["-x", deb, tree]);
      return tree;
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  throw new Error(reasons.join("; "));
}

async function fetchFrom(
  work: string,
  mirror: string,
  keyring: string,
  { suite, packages }: DebianPackages,
): Promise<string[]> {
  const env = await prepareApt(work, mirror, keyring, suite);
  await run("apt-get", ["-qq", "--error-on=any", "update"], { cwd: work, env, timeoutMs: TIMEOUT_MS });
  await run("apt-get", ["-qq", "download", ...packages], { cwd: work, env, timeoutMs: TIMEOUT_MS });
  const debs = (await readdir(work)).filter((file) => file.endsWith(".deb"));
  if (debs.length !== packages.length)
    throw new Error(`apt-get downloaded ${debs.length} of ${packages.length} packages`);
  return debs.map((file) => join(work, file));
}

/** Write an apt configuration of our own and return the environment that makes apt use it, and only it. */
async function prepareApt(work: string, mirror: string, keyring: string, suite: string): Promise<NodeJS.ProcessEnv> {
  await mkdir(join(work, "lists", "partial"), { recursive: true });
  await mkdir(join(work, "cache", "archives", "partial"), { recursive: true });
  const at = (name: string) => join(work, name);
  const architecture = (await run("dpkg", ["--print-architecture"])).stdout.trim();
  const source = [
    "Types: deb",
    `URIs: ${mirror}`,
    `Suites: ${suite}`,
    "Components: main",
    `Architectures: ${architecture}`,
    "Languages: none",
    "Targets: Packages",
    `Signed-By: ${keyring}`,
  ];
  await writeFile(at("own.sources"), `${source.join("\n")}\n`);
  await writeFile(at("status"), "");
  const settings = {
    // Read before /etc/apt, so these two keep the machine's own files out. Its hooks would change the system
    // (one of Docker's images empties apt's cache after each update) or take seconds.
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::sourcelist": at("own.sources"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State": work,
    "Dir::State::lists": at("lists"),
    "Dir::State::status": at("status"),
    "Dir::Cache": at("cache"),
    // As root, apt downloads as the user `_apt`, who cannot write here.
    ...(process.getuid?.() === 0 ? { "APT::Sandbox::User": "root" } : {}),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";`);
  await writeFile(at("apt.conf"), [...lines, ...(await machineAcquireSettings()), ""].join("\n"));
  return { ...process.env, APT_CONFIG: at("apt.conf"), LC_ALL: "C" };
}

/** How this machine reaches its mirror: proxies, timeouts, certificates, validity checks. */
async function machineAcquireSettings(): Promise<string[]> {
  const { stdout } = await run("apt-config", ["dump"]);
  return stdout.split("\n").filter((line) => /^Acquire::\S+ "[^"]*";$/.test(line));
}

async function firstThatExists(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
