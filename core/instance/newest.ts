/**
 * The newest grants and directory that this machine has seen. The root's signature on an older one is as good as ever, so
 * a broker that puts it back could revive a datacenter's lost key, or rights that were narrowed since.
 */
import { HumqError, RefusedError } from "../errors.ts";
import { isoTime } from "../moment.ts";
import { type Directory, type Grant, openDirectory, openGrant } from "../trust/grant.ts";
import type { Instance } from "./home.ts";

/** Undefined also for what is damaged, or of an instance that had the same name. */
function seen<T>(kept: Uint8Array | undefined, open: (signed: Uint8Array) => T): T | undefined {
  if (kept === undefined) return undefined;
  try {
    return open(kept);
  } catch (error) {
    if (error instanceof HumqError) return undefined;
    throw error;
  }
}

/** The directory that was opened last, since the same one is asked for again and again. */
let opened: { rootKey: Uint8Array; signed: Uint8Array; directory: Directory } | undefined;

function openKnownDirectory(signed: Uint8Array, rootKey: Uint8Array): Directory {
  if (
    opened !== undefined &&
    Buffer.compare(opened.signed, signed) === 0 &&
    Buffer.compare(opened.rootKey, rootKey) === 0
  )
    return opened.directory;
  const directory = openDirectory(signed, rootKey);
  opened = { rootKey: Uint8Array.from(rootKey), signed: Uint8Array.from(signed), directory };
  return directory;
}

/**
 * The directory in force: what the broker holds, or a newer one that was seen here before.
 * @param stored what the broker holds; undefined for nothing
 * @throws RefusedError where the root did not sign it; VersionError where it is of a newer humq
 */
export function newestDirectory(
  instance: Instance,
  rootKey: Uint8Array,
  stored: Uint8Array | undefined,
): Directory | undefined {
  const before = seen(instance.savedDirectory(), (signed) => openKnownDirectory(signed, rootKey));
  if (stored === undefined) return before;
  const directory = openKnownDirectory(stored, rootKey);
  if (before !== undefined && before.issuedMs >= directory.issuedMs) return before;
  instance.saveDirectory(stored);
  return directory;
}

/** Grants of others, as workers and the owner know them. */
export class NewestGrants {
  readonly #instance: Instance;
  readonly #rootKey: Uint8Array;
  /** By user, when the newest was issued. */
  readonly #issuedMs = new Map<string, number>();

  constructor(instance: Instance, rootKey: Uint8Array) {
    this.#instance = instance;
    this.#rootKey = rootKey;
  }

  /** @throws RefusedError where the root did not sign it, or its holder was seen to have a newer one */
  open(signed: Uint8Array): Grant {
    const grant = openGrant(signed, this.#rootKey);
    const { user, name, issuedMs } = grant;
    const newestMs = this.#issuedMs.get(user) ?? this.#kept(user)?.issuedMs ?? 0;
    if (issuedMs < newestMs) {
      throw new RefusedError(
        `the grant of ${name} is of ${isoTime(issuedMs)}, and a newer one was seen here, of ` +
          `${isoTime(newestMs)}: somebody put the older one back`,
      );
    }
    if (issuedMs > newestMs) this.#instance.cacheGrant(user, signed);
    this.#issuedMs.set(user, issuedMs);
    return grant;
  }

  /**
   * The grant in force of a user: what the broker holds, or the newer one that is known here, also where the broker holds
   * something else in its place.
   * @returns undefined where neither is a grant of theirs
   */
  inForce(user: string, stored: Uint8Array): Grant | undefined {
    try {
      const grant = this.open(stored);
      if (grant.user === user) return grant;
    } catch (error) {
      if (!(error instanceof HumqError)) throw error;
    }
    return this.#kept(user);
  }

  #kept(user: string): Grant | undefined {
    return seen(this.#instance.cachedGrant(user), (signed) => openGrant(signed, this.#rootKey));
  }
}
