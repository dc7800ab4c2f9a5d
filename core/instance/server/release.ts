import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { downloadFile, downloadText } from "./download.ts";
import { run } from "./run.ts";

/** Where the NATS project publishes its releases. */
export const RELEASES_URL = "https://github.com/nats-io/nats-server/releases/download";

/** Node's processor names in the words of the release archives; others are spelled alike. */
const ARCHITECTURES: Record<string, string> = { x64: "amd64", ia32: "386", arm: "arm7" };

/** The name of the official archive for this machine, as the project's release configuration builds it. */
export function archiveName(version: string, platform: string = process.platform, arch: string = process.arch): string {
  return `nats-server-v${version}-${platform}-${ARCHITECTURES[arch] ?? arch}.tar.gz`;
}

/**
 * Fetch an official release archive, check it against the published SHA-256 sums, and unpack it in `directory`.
 * @returns the program's path.
 * @throws Error with a sentence.
 */
export async function fetchRelease(directory: string, version: string, baseUrl = RELEASES_URL): Promise<string> {
  const name = archiveName(version);
  const url = `${baseUrl}/v${version}`;
  const expected = findSum(await downloadText(`${url}/SHA256SUMS`), name);
  if (expected === undefined) throw new Error(`release v${version} has no ${name}`);
  const archive = join(directory, name);
  await downloadFile(`${url}/${name}`, archive);
  const sum = await sha256OfFile(archive);
  if (sum !== expected) {
    throw new Error(`${name} is not what was published: its SHA-256 is ${sum}, SHA256SUMS says ${expected}`);
  }
  await run("tar", ["-xzf", archive, "-C", directory]);
  return join(directory, name.slice(0, -".tar.gz".length), "nats-server");
}

/** The sum of `name` in the text that `sha256sum` prints: hex, blanks (and `*` for binary), name. */
export function findSum(sums: string, name: string): string | undefined {
  for (const line of sums.split("\n")) {
    const [, sum, file] = /^([0-9a-f]{64})\s+\*?(\S+)\s*$/i.exec(line) ?? [];
    if (file === name) return sum?.toLowerCase();
  }
  return undefined;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
