import { createHash } from "node:crypto";
import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../../../core/instance/server/index.ts";
import { withLock } from "../../../core/instance/server/lock.ts";

/** Why a peer cannot take part; the message is one plain sentence. */
export class Unavailable extends Error {}

export interface Installing {
  /** False: what is not in the cache is not fetched. */
  readonly mayInstall: boolean;
  readonly signal: AbortSignal;
}

export interface Recipe {
  /** The folder's name begins with it, and messages name it. */
  readonly name: string;
  /** All that decides what is installed (versions, system): a change of it makes a new folder. */
  readonly key: readonly string[];
  /** Fills the folder. */
  install(folder: string, signal: AbortSignal): Promise<void>;
}

/**
 * A folder in humq's cache, filled on first use and kept. One that was left half filled is filled anew.
 * @throws Unavailable where it is not there and may not be installed, or cannot be
 */
export async function installed({ name, key, install }: Recipe, { mayInstall, signal }: Installing): Promise<string> {
  const all = [...key, process.platform, process.arch].join("\0");
  const folder = join(
    cacheDirectory(),
    "bench",
    `${name}-${createHash("sha256").update(all).digest("hex").slice(0, 12)}`,
  );
  const complete = join(folder, "complete");
  if (await exists(complete)) return folder;
  if (!mayInstall) {
    throw new Unavailable(`${name} is not in the cache yet, and a smoke run installs nothing; \`npm run bench\` does`);
  }
  await withLock(`${folder}.lock`, async () => {
    if (await exists(complete)) return;
    process.stderr.write(`  installing ${name} into ${folder}\n`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    try {
      await install(folder, signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new Unavailable(`${name} could not be installed: ${(cause as Error).message}`, { cause });
    }
    await writeFile(complete, "");
  });
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
