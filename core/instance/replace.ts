/**
 * Another instance takes the place of one that is here: same name, same keys of people and datacenters, another root key. What
 * was before stays under another name.
 */
import { randomBytes } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import { InstanceError } from "../errors.ts";
import { makePrivateFolder } from "./files.ts";
import { Instance } from "./home.ts";

/** `NAME-old`, or with a number where that is taken. */
function nameForOld({ name }: Instance): Instance {
  for (let number = 1; ; number++) {
    const old = new Instance(`${name.slice(0, 50)}-old${number === 1 ? "" : `-${number}`}`);
    if (!existsSync(old.folder)) return old;
  }
}

/**
 * @param make fills the new instance, which has the keys already, beside the old one
 * @returns the old instance, under its new name
 * @throws InstanceError where the folders cannot be moved; then everything is as it was, as also where `make` throws
 */
export async function replaceInstance(
  instance: Instance,
  make: (next: Instance) => Promise<void> | void,
): Promise<Instance> {
  const next = new Instance(`${instance.name.slice(0, 50)}-new-${randomBytes(4).toString("hex")}`);
  const old = nameForOld(instance);
  try {
    makePrivateFolder(next.folder);
    instance.copyKeysTo(next);
    await make(next);
    renameSync(instance.folder, old.folder);
    try {
      renameSync(next.folder, instance.folder);
    } catch (error) {
      renameSync(old.folder, instance.folder);
      throw error;
    }
  } catch (cause) {
    rmSync(next.folder, { recursive: true, force: true });
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new InstanceError(`cannot replace ${instance.folder}: ${(cause as Error).message}`, { cause });
  }
  return old;
}
