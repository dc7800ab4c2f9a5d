import { BrokerError, type HumqError, InstanceError } from "../../errors.ts";
import { portError } from "./port.ts";
import { lastLines } from "./run.ts";
import { isNewEnough, MINIMUM_SERVER_VERSION, readServerVersion } from "./version.ts";

export interface FailedStart {
  binary: string;
  host: string;
  port: number;
  storeDir: string;
  logPath: string;
  configPath: string;
  /** What this start logged. */
  log: string;
}

/** The port was free when it was checked and somebody else took it since. */
export class PortLostError extends InstanceError {}

/** Why a server did not come up, in one sentence that says what to do. */
export async function explainFailedStart(failed: FailedStart): Promise<HumqError> {
  const { binary, host, port, storeDir, log } = failed;
  // An old server stumbles over settings it does not know; its age is the reason worth naming.
  const version = await readServerVersion(binary).catch(() => undefined);
  if (version !== undefined && !isNewEnough(version)) return tooOld(binary, version);
  if (/address already in use/i.test(log)) return new PortLostError(portError(host, port, "EADDRINUSE").message);
  if (/permission denied|read-only file system|no space left/i.test(log))
    return storeError(storeDir, lastLines(log, 2));
  return new BrokerError(
    `nats-server did not start with ${failed.configPath}. Its last words: ${lastLines(log)} (all of them: ${failed.logPath})`,
  );
}

export function tooOld(binary: string, version: string): InstanceError {
  return new InstanceError(
    `${binary} is nats-server ${version}; humq needs ${MINIMUM_SERVER_VERSION} or newer. ` +
      "Put a newer one on PATH or set HUMQ_NATS_SERVER to it.",
  );
}

export function storeError(storeDir: string, reason: string): InstanceError {
  return new InstanceError(
    `The broker cannot write its store ${storeDir}: ${reason}. Give yourself the right to write there, ` +
      "make room, or choose another place with HUMQ_HOME.",
  );
}
