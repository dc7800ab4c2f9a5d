/**
 * The revocation list as a worker keeps it: the newest that it ever saw, also on disk. An older one is refused whoever
 * offers it, and without one that is still good the worker takes no new work.
 */
import type { Subscription } from "@nats-io/transport-node";
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../../core/broker/names.ts";
import { type Stored, StreamReader } from "../../core/broker/read.ts";
import { isBrokerTrouble } from "../../core/broker/trouble.ts";
import { savedRevocations } from "../../core/instance/revocations.ts";
import type { Session } from "../../core/instance/session.ts";
import type { Grant } from "../../core/trust/grant.ts";
import {
  checkNotRevoked,
  checkSerial,
  lackOfFreshness,
  openRevocations,
  type Revocation,
  type RevocationList,
} from "../../core/trust/revocation.ts";
import type { AuditedTrust } from "../audit/audit.ts";
import { hear } from "../hear.ts";
import type { Log } from "../log.ts";
import { readBack } from "../read-back.ts";

/** A list that no hint spoke of is looked for this often. Nothing is sent where there is none. */
const LOOK_MS = 4_000;

export class RevocationBook {
  readonly #session: Session;
  readonly #reader: StreamReader;
  readonly #log: Log;
  readonly #audit: AuditedTrust;
  readonly #onChange: () => void;
  #list: RevocationList | undefined;
  #entries = new Map<string, Revocation>();
  /** Its place in the stream. */
  #seq = 0;
  #told = "";
  /** Looks that were begun, and the last one of them that was answered. */
  #begun = 0;
  #answered = 0;
  #isClosed = false;
  #live: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(session: Session, reader: StreamReader, log: Log, audit: AuditedTrust, onChange: () => void) {
    this.#session = session;
    this.#reader = reader;
    this.#log = log;
    this.#audit = audit;
    this.#onChange = onChange;
    this.#hold(savedRevocations(session.instance, session.link.rootKey));
  }

  /** @param onChange hears of each newer list */
  static async open(session: Session, log: Log, audit: AuditedTrust, onChange: () => void): Promise<RevocationBook> {
    const reader = await StreamReader.open(session.nc, IMPORTED_API);
    const book = new RevocationBook(session, reader, log, audit, onChange);
    const subject = subjectOf.revoked();
    // A live message is a hint only: what is acted on is read back from the hub.
    book.#live = hear(session.nc, subject, log, ({ data }) => {
      void book.#look(() => readBack(reader, HUB_STREAMS.grants, subject, data));
    });
    book.#timer = setInterval(() => {
      void book.#look(() => reader.next(HUB_STREAMS.grants, subject, book.#seq + 1));
    }, LOOK_MS);
    await book.reload();
    return book;
  }

  /** Reads it again, whatever was read before: a stream can be restored from a backup. */
  reload(): Promise<void> {
    return this.#look(() => this.#reader.next(HUB_STREAMS.grants, subjectOf.revoked()));
  }

  async #look(read: () => Promise<Stored | null>): Promise<void> {
    const look = ++this.#begun;
    try {
      const stored = await read();
      this.#answered = Math.max(this.#answered, look);
      if (stored === null) return;
      this.#seq = stored.seq;
      this.#take(stored.data);
      this.#told = "";
    } catch (error) {
      const { message } = error as Error;
      // What was on its way when the broker went is not answered any more; what was asked since is.
      if (isBrokerTrouble(error) && this.#answered > look) return;
      if (this.#isClosed || message === this.#told) return;
      this.#told = message;
      this.#log.warn(`passing over a revocation list: ${message}`);
      if (!isBrokerTrouble(error)) this.#audit.refused({ what: "revocations", reason: message });
    }
  }

  #take(signed: Uint8Array): void {
    const { instance, link } = this.#session;
    const next = openRevocations(signed, link.rootKey);
    checkSerial(next, this.#list);
    const saved = savedRevocations(instance, link.rootKey);
    // Another worker of this machine may have seen a newer one.
    checkSerial(next, saved);
    if (saved === undefined || saved.serial < next.serial) this.#save(signed);
    if (next.serial === this.#list?.serial) return;
    this.#tell(next);
    this.#hold(next);
    this.#onChange();
  }

  #save(signed: Uint8Array): void {
    try {
      this.#session.instance.saveRevocations(signed);
    } catch (error) {
      this.#log.warn(`a worker started here later will not know this revocation list: ${(error as Error).message}`);
    }
  }

  /** What the next list revokes beyond this one goes to the audit log. */
  #tell({ serial, entries }: RevocationList): void {
    for (const { user, name, beforeMs } of entries) {
      if (beforeMs !== this.#entries.get(user)?.beforeMs) this.#audit.revoked({ user, name, beforeMs, serial });
    }
  }

  #hold(list: RevocationList | undefined): void {
    this.#list = list;
    this.#entries = new Map((list?.entries ?? []).map((entry) => [entry.user, entry]));
  }

  /** Why no new work is to be taken at `nowMs`, as a sentence without its period; undefined where it may be. */
  lack(nowMs: number): string | undefined {
    return lackOfFreshness(this.#list, nowMs);
  }

  entryOf(user: string): Revocation | undefined {
    return this.#entries.get(user);
  }

  /** @throws RefusedError where the grant is void */
  check(grant: Pick<Grant, "user" | "name" | "issuedMs">): void {
    checkNotRevoked(this.#entries.get(grant.user), grant);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#live?.unsubscribe();
  }
}
