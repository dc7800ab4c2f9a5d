/** Whose calls this datacenter may run: the grants on the hub, each checked against the root key. */
import type { Msg, Subscription } from "@nats-io/transport-node";
import { HUB_STREAMS, IMPORTED_API, shortUser, subjectOf } from "../core/broker/names.ts";
import { StreamReader } from "../core/broker/read.ts";
import { HumqError } from "../core/errors.ts";
import { serves } from "../core/instance/admin.ts";
import { NewestGrants } from "../core/instance/newest.ts";
import type { Session } from "../core/instance/session.ts";
import type { Grant } from "../core/trust/grant.ts";
import type { RefusalLog } from "./audit/audit.ts";
import { hear } from "./hear.ts";
import type { Log } from "./log.ts";
import { readBack } from "./read-back.ts";

export class GrantBook {
  readonly #datacenter: string;
  readonly #reader: StreamReader;
  readonly #log: Log;
  readonly #audit: RefusalLog;
  readonly #newest: NewestGrants;
  readonly #grants = new Map<string, Grant>();
  #live: Subscription | undefined;

  private constructor(session: Session, datacenter: string, reader: StreamReader, log: Log, audit: RefusalLog) {
    this.#datacenter = datacenter;
    this.#reader = reader;
    this.#log = log;
    this.#audit = audit;
    this.#newest = new NewestGrants(session.instance, session.link.rootKey);
  }

  /** @param onUser hears of each user who has a new grant from now on; those who have one already are in {@link all} */
  static async open(
    session: Session,
    datacenter: string,
    log: Log,
    audit: RefusalLog,
    onUser: (grant: Grant) => void,
  ): Promise<GrantBook> {
    const reader = await StreamReader.open(session.nc, IMPORTED_API);
    const book = new GrantBook(session, datacenter, reader, log, audit);
    // A live message is a hint only: what is acted on is read back from the hub.
    book.#live = hear(session.nc, "$KV.humq_grants.>", log, (message) => void book.#refresh(message, onUser));
    await book.reload();
    return book;
  }

  /** Reads all of them again; a live message may have been missed. */
  async reload(): Promise<void> {
    for await (const stored of this.#reader.all(HUB_STREAMS.grants, subjectOf.grant("*"))) this.#take(stored.data);
  }

  async #refresh({ subject, data }: Msg, onUser: (grant: Grant) => void): Promise<void> {
    if (!subject.startsWith(subjectOf.grant(""))) return;
    try {
      const stored = await readBack(this.#reader, HUB_STREAMS.grants, subject, data);
      const grant = stored === null ? undefined : this.#take(stored.data);
      if (grant !== undefined) onUser(grant);
    } catch (error) {
      this.#log.warn(`could not read a new grant: ${(error as Error).message}`);
    }
  }

  /** @returns the grant, where this datacenter serves its holder */
  #take(signed: Uint8Array): Grant | undefined {
    try {
      const grant = this.#newest.open(signed);
      if (serves(grant, this.#datacenter)) {
        this.#grants.set(shortUser(grant.user), grant);
        return grant;
      }
      this.#grants.delete(shortUser(grant.user));
    } catch (error) {
      if (!(error instanceof HumqError)) throw error;
      this.#log.warn(`passing over a grant: ${error.message}`);
      this.#audit.refused({ what: "grant", reason: error.message });
    }
    return undefined;
  }

  /** The grant of a user, who may be served or not. */
  of(u: string): Grant | undefined {
    return this.#grants.get(u);
  }

  all(): Grant[] {
    return [...this.#grants.values()];
  }

  close(): void {
    this.#live?.unsubscribe();
  }
}
