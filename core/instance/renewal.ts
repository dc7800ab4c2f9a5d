/** Keeping the revocation list fresh: workers take no new work without one. */
import { setTimeout as delay } from "node:timers/promises";
import { BrokerError, HumqError } from "../errors.ts";
import type { RevocationList } from "../trust/revocation.ts";
import { Admin } from "./admin.ts";
import type { Instance } from "./home.ts";
import { RENEW_AFTER_MS, savedRevocations } from "./revocations.ts";
import { needsPassphrase } from "./root-key.ts";

/** After a failure it is tried again this soon. */
const TRY_AGAIN_MS = 60_000;

/** Signs and publishes the next list. @throws InstanceError where the root key is not here, BrokerError where the broker is away */
export async function renewRevocations(instance: Instance): Promise<RevocationList> {
  const admin = Admin.open(instance);
  try {
    return await admin.renew();
  } finally {
    await admin.close();
  }
}

/** Where this is the owner's machine and the list is an hour old, renews it. Nobody is asked for a passphrase for that. */
export async function renewIfDue(instance: Instance): Promise<void> {
  if (!instance.hasRoot || needsPassphrase(instance.rootPath)) return;
  const { issuedMs = 0 } = savedRevocations(instance, instance.link.rootKey) ?? {};
  if (Math.abs(Date.now() - issuedMs) < RENEW_AFTER_MS) return;
  try {
    await renewRevocations(instance);
  } catch (error) {
    // Whatever is wrong with the broker or the key the command itself meets and tells.
    if (!(error instanceof HumqError)) throw error;
  }
}

export interface RenewalOptions {
  /** Wait so long before the first time. Default 0. */
  firstAfterMs?: number;
  /** Whether the pauses keep a process that has nothing else to do. Default false. */
  keepsProcess?: boolean;
  onRenewed?(list: RevocationList): void;
  /** The broker was away; it is tried again in a minute. */
  onTrouble?(error: BrokerError): void;
}

/**
 * Renews every so many milliseconds until `signal` is aborted.
 * @throws what is wrong but for a broker that is away
 */
export async function keepRenewing(
  instance: Instance,
  everyMs: number,
  signal: AbortSignal,
  options: RenewalOptions = {},
): Promise<void> {
  const ref = options.keepsProcess === true;
  const pause = (ms: number) => delay(ms, undefined, { signal, ref }).catch(() => undefined);
  if (options.firstAfterMs !== undefined) await pause(options.firstAfterMs);
  while (!signal.aborted) {
    let waitMs = everyMs;
    try {
      options.onRenewed?.(await renewRevocations(instance));
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      options.onTrouble?.(error);
      waitMs = Math.min(everyMs, TRY_AGAIN_MS);
    }
    await pause(waitMs);
  }
}
