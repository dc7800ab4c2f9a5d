/** Taking back an instance whose making failed half-way. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { homeFolder, type Instance } from "./home.ts";

/** @param defaultBefore the default instance before this one was made; where there was none, there is none again */
export function removeNewInstance(instance: Instance, defaultBefore: string | undefined): void {
  rmSync(instance.folder, { recursive: true, force: true });
  if (defaultBefore === undefined) rmSync(join(homeFolder(), "default"), { force: true });
}
