/** Making an instance in a way that can be taken back. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { HumqError, InstanceError } from "../errors.ts";
import { makePrivateFolder } from "./files.ts";
import { defaultInstance, homeFolder, Instance } from "./home.ts";
import { createInstance } from "./setup.ts";

export interface MadeInstance {
  instance: Instance;
  /** Leaves everything as it was before. */
  undo(): void;
}

/**
 * As `createInstance`, for when more has to succeed before the instance is to stay.
 * @throws InstanceError where it exists already or cannot be written
 */
export async function makeInstance(name: string, servers: string[], passphrase?: string): Promise<MadeInstance> {
  let before: string | undefined;
  let instance: Instance;
  try {
    makePrivateFolder(homeFolder());
    before = defaultInstance();
    instance = await createInstance(name, servers, passphrase);
  } catch (cause) {
    if (cause instanceof HumqError) throw cause;
    throw new InstanceError(
      `cannot write ${new Instance(name).folder}: ${(cause as Error).message}. Make room or give yourself the right, ` +
        "or choose another place with HUMQ_HOME.",
      { cause },
    );
  }
  const undo = () => {
    rmSync(instance.folder, { recursive: true, force: true });
    if (before === undefined) rmSync(join(homeFolder(), "default"), { force: true });
  };
  return { instance, undo };
}
