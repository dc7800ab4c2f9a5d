import { chmod, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Makes the folders in a read-only tree writable again, so that it can be removed. */
export async function makeRemovable(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined);
  if (info === undefined || !info.isDirectory()) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path)) await makeRemovable(join(path, name));
}
