import { accessSync, constants, mkdirSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { InstanceError } from "../../errors.ts";
import { storeError } from "./failure.ts";
import { type Lock, tryLock } from "./lock.ts";
import { AlreadyRunningError, findRunningServer, lockFile } from "./state.ts";

/** A server whose humq was killed a moment ago is being ended by its guard, which takes this long at most. */
const ORPHAN_WAIT_MS = 20_000;
/** Another humq that holds the lock is starting or stopping its server. */
const HOLDER_WAIT_MS = 10_000;
const POLL_MS = 100;

/**
 * Make the store's directory where there is none.
 * @returns its one true path: the same store reached through a link is the same store.
 * @throws InstanceError where it cannot be written.
 */
export function makeStore(storeDir: string): string {
  try {
    mkdirSync(storeDir, { recursive: true, mode: 0o700 });
    accessSync(storeDir, constants.R_OK | constants.W_OK | constants.X_OK);
    return realpathSync(storeDir);
  } catch (cause) {
    throw storeError(resolve(storeDir), (cause as Error).message);
  }
}

/**
 * Take the store's lock; two servers on one store would destroy it.
 * @throws AlreadyRunningError, or InstanceError where it cannot be written or is not given up.
 */
export async function claimStore(storeDir: string): Promise<Lock> {
  const started = performance.now();
  for (;;) {
    const lock = lockStore(storeDir);
    const running = await findRunningServer(storeDir);
    const waitedMs = performance.now() - started;
    if (lock !== undefined) {
      if (running === undefined) return lock;
      lock.release();
      if (waitedMs > ORPHAN_WAIT_MS) {
        throw new InstanceError(
          `A broker of an earlier run (process ${running.pid}) still uses ${storeDir}. End it: kill ${running.pid}`,
        );
      }
    } else if (running !== undefined) {
      throw new AlreadyRunningError(running);
    } else if (waitedMs > HOLDER_WAIT_MS) {
      throw new InstanceError(`Another humq is starting or stopping a broker on ${storeDir}. Try again in a moment.`);
    }
    await delay(POLL_MS);
  }
}

function lockStore(storeDir: string): Lock | undefined {
  try {
    return tryLock(lockFile(storeDir));
  } catch (cause) {
    throw storeError(storeDir, (cause as Error).message);
  }
}
