/** The instance a command works with. */

import { findInstance, type Instance } from "../core/instance/home.ts";
import { finishInit, isUnfinished } from "../core/instance/init.ts";
import { renewIfDue } from "../core/instance/renewal.ts";
import { message } from "./output.ts";

/**
 * The instance named (default: as in `findInstance`), ready for use: the first command of the owner that reaches a
 * server set up with `humq init` finishes that set-up, and each of them renews the revocation list where it is due.
 */
export async function readyInstance(name: string | undefined): Promise<Instance> {
  const instance = findInstance(name);
  if (isUnfinished(instance)) {
    const datacenter = await finishInit(instance);
    message(`Finished the set-up of "${instance.name}" on its server (first datacenter: ${datacenter}).`);
  } else await renewIfDue(instance);
  return instance;
}
