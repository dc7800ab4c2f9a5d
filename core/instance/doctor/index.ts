/** Looks at everything that humq needs, and says what to do where it is not there. */
import { InstanceError } from "../../errors.ts";
import { findInstance, type Instance, listInstances } from "../home.ts";
import { checkBroker } from "./broker.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { checkHome, checkIsolation, checkNode, checkServer } from "./machine.ts";

export type { Check } from "./check.ts";

/** @param name the instance to look at; default: as in `findInstance` */
export async function* diagnose(name?: string): AsyncGenerator<Check> {
  yield checkNode();
  yield await checkServer();
  yield await checkIsolation();
  yield checkHome();
  if (name === undefined && listInstances().length === 0) {
    yield warn("instance", "none is known here", "Start one (humq up) or join one (humq request LINK).");
    return;
  }
  let instance: Instance;
  try {
    instance = findInstance(name);
    yield ok("instance", `"${instance.name}" at ${instance.link.servers.join(", ")}`);
  } catch (error) {
    if (!(error instanceof InstanceError)) throw error;
    yield fail("instance", error.message, "Name another with --instance.");
    return;
  }
  yield* checkBroker(instance);
}
