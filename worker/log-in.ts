/** Logging in as a worker. */
import { InstanceError, UsageError } from "../core/errors.ts";
import { adoptNextKey } from "../core/instance/datacenter-keys.ts";
import type { Instance } from "../core/instance/home.ts";
import { openSession, type Session } from "../core/instance/session.ts";
import type { Log } from "./log.ts";

/**
 * Logs in with a datacenter's key on this machine, or with the person's own where that was granted as a worker.
 * @param wanted the datacenter; default: the only one whose key is here
 * @throws UsageError where keys of several are here; InstanceError where the key is not granted as a worker of it
 */
export async function logIn(
  instance: Instance,
  wanted: string | undefined,
  log: Log,
  onReconnect: () => void,
): Promise<Session> {
  const here = instance.datacenters();
  const datacenter = wanted ?? (here.length === 1 ? here[0] : undefined);
  const ownKey = datacenter === undefined || !here.includes(datacenter);
  if (ownKey && here.length > 1 && wanted === undefined) {
    throw new UsageError(
      `this machine has keys of several datacenters (${here.join(", ")}): name one with --datacenter`,
    );
  }
  if (!ownKey && (await adoptNextKey(instance, datacenter)))
    log.info(`the key of datacenter "${datacenter}" was replaced; the old one stays here, to open older tags`);
  const session = await openSession(instance, {
    name: "humq worker",
    ...(ownKey ? {} : { datacenter }),
    onStatus: (status) => {
      if (status.type === "disconnect") log.warn("the connection to the broker is lost; trying again until it is back");
      if (status.type !== "reconnect") return;
      log.info("connected to the broker again");
      onReconnect();
    },
  });
  const { grant } = session;
  const granted = grant.datacenters[0];
  if (grant.role === "worker" && (wanted === undefined || granted === wanted)) return session;
  await session.nc.close();
  throw new InstanceError(
    grant.role === "worker"
      ? `the key here is of datacenter "${granted}", not "${wanted}"`
      : `"${grant.name}" is granted as ${grant.role}, not as a worker. Make a datacenter's key: humq request LINK --datacenter NAME, ` +
          "and have the owner grant it with --role worker.",
  );
}
