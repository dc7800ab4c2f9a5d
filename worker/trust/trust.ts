/** Whom this worker may serve at this moment, by what the root signed: grants, the revocation list, and the time. */
import type { Session } from "../../core/instance/session.ts";
import { isoTime } from "../../core/moment.ts";
import { CLOCK_TOLERANCE_MS, checkGrantTime, type Grant } from "../../core/trust/grant.ts";
import { refusalOf } from "../../core/trust/revocation.ts";
import type { ActiveTag } from "../active.ts";
import type { AuditedTrust } from "../audit/audit.ts";
import { GrantBook } from "../grants.ts";
import type { Log } from "../log.ts";
import type { RunnableTag } from "../tag.ts";
import { RevocationBook } from "./revocations.ts";
import { ServerClock } from "./server-clock.ts";

export interface TrustHooks {
  /** Hears of each user who has a new grant from now on. */
  onGrant(grant: Grant): void;
  /** The revocation list changed: what may run is to be looked at anew. */
  onRevocations(): void;
}

export class Trust {
  readonly #session: Session;
  readonly #log: Log;
  readonly #clock: ServerClock;
  readonly #revocations: RevocationBook;
  readonly #grants: GrantBook;
  #held: string | undefined;

  private constructor(
    session: Session,
    log: Log,
    parts: { clock: ServerClock; revocations: RevocationBook; grants: GrantBook },
  ) {
    this.#session = session;
    this.#log = log;
    this.#clock = parts.clock;
    this.#revocations = parts.revocations;
    this.#grants = parts.grants;
  }

  static async open(
    session: Session,
    datacenter: string,
    log: Log,
    audit: AuditedTrust,
    hooks: TrustHooks,
  ): Promise<Trust> {
    const clock = new ServerClock(session.nc);
    await clock.refresh();
    const revocations = await RevocationBook.open(session, log, audit, hooks.onRevocations);
    const grants = await GrantBook.open(session, datacenter, log, audit, hooks.onGrant);
    return new Trust(session, log, { clock, revocations, grants });
  }

  /** Reads everything again: hints may have been missed. @throws BrokerError where the grants cannot be read */
  async reload(): Promise<void> {
    await this.#clock.refresh();
    await this.#revocations.reload();
    await this.#grants.reload();
  }

  /** Everybody whom this datacenter serves, with grants that may be over. */
  all(): Grant[] {
    return this.#grants.all();
  }

  /** Why this worker takes no new work from anybody, as a sentence without its period; undefined where it does. */
  get held(): string | undefined {
    const held = this.#clock.apart ?? this.#revocations.lack(this.#clock.nowMs());
    if (held === this.#held) return held;
    this.#held = held;
    if (held !== undefined) this.#log.warn(`taking no new work: ${held}`);
    else this.#log.info("taking work again");
    return held;
  }

  /** The grant of a user (by short name) who may be served now. */
  valid(u: string): Grant | undefined {
    const grant = this.#grants.of(u);
    if (grant === undefined || this.held !== undefined) return undefined;
    try {
      checkGrantTime(grant, this.#clock.nowMs());
      this.#revocations.check(grant);
      return grant;
    } catch {
      return undefined;
    }
  }

  /** Ends the tags whose submitters were revoked; the others are held at most. */
  end(tags: readonly ActiveTag[]): void {
    for (const tag of tags) {
      if (tag.ended || !this.#isRevoked(tag.runnable)) continue;
      tag.ended = true;
      this.#log.warn(`ended ${tag.runnable.tag}: the access of ${tag.runnable.grant.name} was revoked`);
    }
  }

  #isRevoked({ u, grant, manifest, refusal }: RunnableTag): boolean {
    const entry = this.#revocations.entryOf(grant.user);
    if (entry === undefined || entry.revokedMs === 0) return false;
    const { issuedMs } = this.#grants.of(u) ?? grant;
    // What is being refused has been judged already.
    return issuedMs <= entry.beforeMs || (refusal === undefined && manifest.createdMs <= entry.revokedMs);
  }

  /** Why a tag is refused for good; undefined where it is not. */
  refusalOf({ grant, manifest }: Pick<RunnableTag, "grant" | "manifest">): string | undefined {
    const nowMs = this.#clock.nowMs();
    if (manifest.createdMs > nowMs + CLOCK_TOLERANCE_MS) {
      const created = isoTime(manifest.createdMs);
      return `it says that it was submitted on ${created}, and here it is ${isoTime(nowMs)}. Set the clock where it was submitted, and submit it again`;
    }
    return refusalOf(this.#revocations.entryOf(grant.user), grant.name, manifest.createdMs);
  }

  /** Why this worker's own grant is void; undefined where it is not. */
  get voided(): string | undefined {
    try {
      this.#revocations.check(this.#session.grant);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  close(): void {
    this.#revocations.close();
    this.#grants.close();
  }
}
