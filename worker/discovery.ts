/** Finding tags to run: all that are stored, then live hints of new ones. */
import type { Msg, Subscription } from "@nats-io/transport-node";
import { Lanes } from "../core/broker/lanes.ts";
import { IMPORTED_API, isTagName, parseTagSubject, shortUser, streamOf, subjectOf } from "../core/broker/names.ts";
import { type Stored, StreamReader } from "../core/broker/read.ts";
import { DecodeError, HumqError, RefusedError, VersionError } from "../core/errors.ts";
import type { Session } from "../core/instance/session.ts";
import type { Grant } from "../core/trust/grant.ts";
import type { AuditedTrust } from "./audit/audit.ts";
import { Catalogue } from "./catalogue.ts";
import { within } from "./executor/timing.ts";
import { ForetoldTags } from "./foretold.ts";
import { hear } from "./hear.ts";
import { Hints } from "./hints.ts";
import type { Log } from "./log.ts";
import { readQueue } from "./queue.ts";
import { readBack } from "./read-back.ts";
import { foretell, type RunnableTag, readTag, tagId } from "./tag.ts";
import { tellRefused } from "./tell-refused.ts";
import { Trust } from "./trust/trust.ts";

/** Live hints can be lost: what is new is looked for now and then, */
const SWEEP_MS = 60_000;
/** and everything is looked through again once in so many times: a stream can be restored from a backup, say. */
const SWEEPS_PER_WHOLE = 60;
/** Tags that are looked at at once. */
const LOOKS_AT_ONCE = 8;
/** A user whose tags are not looked through in this time is not waited for: others come next. */
const PATIENCE_MS = 1_000;
/** Tags of one user that are kept in mind; a user who answers in the broker's place has any number. */
const MOST_TAGS = 100_000;

export interface DiscoveryHooks {
  /** Whether calls of this user may run here at all. */
  mayServe(grant: Grant): boolean;
  /** True where the tag (by its id) is being worked on already. */
  isActive(id: string): boolean;
  /** Whether another tag of a user (by short name) can be worked on now; {@link Discovery.lookAgain} where it can be later. */
  hasRoomFor(u: string): boolean;
  /** Something new was heard of a tag that is being worked on: resolves when that is known. */
  onHint(id: string): Promise<void>;
  onTag(tag: RunnableTag): void;
  /** Nothing is in hand: there is time for tags that may come. */
  isIdle(): boolean;
  /** A tag is being submitted, and may be closed in a moment. */
  onForetold(tag: Pick<RunnableTag, "id" | "u" | "tag" | "grant" | "manifest" | "options">): void;
  /** Calls of a tag (by its id) may have been cancelled. */
  onCancel(id: string): void;
  /** Grants or the revocation list changed: what may run is to be looked at anew. */
  onTrust(): void;
  /** The same of any tag: hints may have been missed. */
  onSweep(): Promise<void>;
}

export class Discovery {
  readonly #session: Session;
  readonly #datacenter: string;
  readonly #reader: StreamReader;
  readonly #log: Log;
  readonly #audit: AuditedTrust;
  readonly #hooks: DiscoveryHooks;
  /** By short user. */
  readonly #catalogues = new Map<string, Catalogue>();
  /** Short users whose tags are being looked through, and whether that is to be done once more. */
  readonly #scanning = new Map<string, { again: boolean; whole: boolean }>();
  readonly #hints = new Hints();
  readonly #foretold = new ForetoldTags();
  #trust: Trust | undefined;
  #live: Subscription[] = [];
  #sweep: NodeJS.Timeout | undefined;
  #sweeping = false;
  /** Something may have been missed since the last sweep began. */
  #sweepsWanted = false;
  #wholeIn = 0;

  private constructor(
    session: Session,
    datacenter: string,
    reader: StreamReader,
    log: Log,
    audit: AuditedTrust,
    hooks: DiscoveryHooks,
  ) {
    this.#session = session;
    this.#datacenter = datacenter;
    this.#reader = reader;
    this.#log = log;
    this.#audit = audit;
    this.#hooks = hooks;
  }

  static async open(
    session: Session,
    datacenter: string,
    log: Log,
    audit: AuditedTrust,
    hooks: DiscoveryHooks,
  ): Promise<Discovery> {
    const reader = await StreamReader.open(session.nc, IMPORTED_API);
    const discovery = new Discovery(session, datacenter, reader, log, audit, hooks);
    discovery.#live = [
      hear(session.nc, subjectOf.anyClose(), log, (heard) =>
        discovery.#heard(heard, (data) => discovery.#hint(heard.subject, data)),
      ),
      hear(session.nc, subjectOf.anyCancel(), log, (heard) =>
        discovery.#heard(heard, (data) => discovery.#cancelled(heard.subject, data)),
      ),
      hear(session.nc, subjectOf.anyManifest(), log, (heard) => discovery.#foretell(heard)),
    ];
    discovery.#trust = await Trust.open(session, datacenter, log, audit, {
      onGrant: (grant) => {
        hooks.onTrust();
        // What was refused under the grant before may be right under this one.
        discovery.#catalogues.delete(shortUser(grant.user));
        void discovery.#scan(grant, true);
      },
      onRevocations: () => {
        hooks.onTrust();
        // It may be the first that is fresh: what could not be looked at before can be now.
        discovery.#lookForNew();
      },
    });
    discovery.#sweep = setInterval(() => discovery.#lookForNew(), SWEEP_MS);
    void discovery.sweep();
    return discovery;
  }

  /** Whom to serve; undefined while it is read for the first time. */
  get trust(): Trust | undefined {
    return this.#trust;
  }

  /** Looks through the stored grants and tags of all users; also after a reconnect, when hints were missed. */
  async sweep(): Promise<void> {
    this.#wholeIn = 0;
    await this.#sweepAll();
  }

  /** Something that could not be looked at before can be now. */
  lookAgain(): void {
    void this.#sweepAll();
  }

  #lookForNew(): void {
    this.#wholeIn--;
    void this.#sweepAll();
  }

  async #sweepAll(): Promise<void> {
    this.#sweepsWanted = true;
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      while (this.#sweepsWanted) {
        this.#sweepsWanted = false;
        const whole = this.#wholeIn <= 0;
        if (whole) this.#wholeIn = SWEEPS_PER_WHOLE;
        await this.#sweepOnce(whole);
      }
    } finally {
      this.#sweeping = false;
    }
  }

  async #sweepOnce(whole: boolean): Promise<void> {
    const trust = this.#trust;
    if (trust === undefined) return;
    try {
      await trust.reload();
    } catch (error) {
      this.#log.warn(`could not read the grants: ${(error as Error).message}`);
    }
    // Whoever answers slowly, or without an end, holds up nobody else.
    for (const grant of trust.all()) await within(this.#scan(grant, whole), PATIENCE_MS);
    await within(this.#hooks.onSweep(), PATIENCE_MS);
  }

  #catalogueOf(u: string): Catalogue {
    let catalogue = this.#catalogues.get(u);
    if (catalogue === undefined) {
      catalogue = new Catalogue();
      this.#catalogues.set(u, catalogue);
    }
    return catalogue;
  }

  /** One scan of a user's tags at a time; what is asked for meanwhile is done after it. */
  async #scan(grant: Grant, whole: boolean): Promise<void> {
    const u = shortUser(grant.user);
    const running = this.#scanning.get(u);
    if (running !== undefined) {
      running.again = true;
      running.whole ||= whole;
      return;
    }
    const next = { again: false, whole };
    this.#scanning.set(u, next);
    try {
      do {
        const { whole: all } = next;
        next.again = false;
        next.whole = false;
        await this.#scanOnce(this.#trust?.valid(u) ?? grant, all);
      } while (next.again);
    } finally {
      this.#scanning.delete(u);
    }
  }

  /** Reads the closing records of a user, all or those that came since, and looks at the tags that are new. */
  async #scanOnce(grant: Grant, whole: boolean): Promise<void> {
    const u = shortUser(grant.user);
    // A grant that is not valid now may be renewed: nothing is noted as seen before.
    if (!this.#hooks.mayServe(grant) || this.#trust?.valid(u) === undefined) return;
    const catalogue = this.#catalogueOf(u);
    try {
      const records = new Map<string, number>();
      const from = whole ? 1 : catalogue.nextSeq;
      for await (const { subject, seq } of this.#reader.all(streamOf.tags(u), subjectOf.close(u, "*"), from)) {
        records.set(parseTagSubject(subject).tag, seq);
        if (records.size + (whole ? 0 : catalogue.size) < MOST_TAGS) continue;
        this.#log.warn(`looking at ${MOST_TAGS} tags of ${grant.name} only; of others it has to hear live`);
        break;
      }
      if (whole) catalogue.keepOnly(records);
      const lanes = new Lanes(LOOKS_AT_ONCE);
      for (const [tag, seq] of catalogue.open(records)) await lanes.run(() => this.#look(u, tag, seq));
      await lanes.done();
    } catch (error) {
      this.#log.warn(`could not look through the tags of ${grant.name}: ${(error as Error).message}`);
    }
  }

  /** Looks at a tag whose closing record is new here. Most that a worker finds when it starts have long been done. */
  async #look(u: string, tag: string, seq: number): Promise<void> {
    // Nothing is asked of a tag that is not to be worked on yet, done or not.
    const isTurn = this.#hooks.isActive(tagId(u, tag)) || this.#hooks.hasRoomFor(u);
    const settled =
      isTurn && ((await this.#tell(u, tag)) || (await this.#isDone(u, tag)) || (await this.#consider(u, tag)));
    this.#catalogueOf(u).note(tag, seq, settled);
  }

  /** @returns whether the tag is being worked on, and still is when what is new of it is known */
  async #tell(u: string, tag: string): Promise<boolean> {
    const id = tagId(u, tag);
    if (this.#hooks.isActive(id)) await this.#hooks.onHint(id);
    return this.#hooks.isActive(id);
  }

  async #isDone(u: string, tag: string): Promise<boolean> {
    try {
      const queue = await readQueue(this.#session.nc, u, tag);
      return queue === undefined || (queue.pending === 0 && queue.running === 0);
    } catch {
      // Looking at it tells why.
      return false;
    }
  }

  #heard({ subject, data }: Msg, look: (data: Uint8Array) => Promise<void>): void {
    this.#hints.add(parseTagSubject(subject).u, subject, data, look);
  }

  /** The manifest of a tag was heard. Whatever is the matter with it is told once the tag is closed. */
  #foretell({ subject, data }: Msg): void {
    const { u, tag } = parseTagSubject(subject);
    const grant = this.#trust?.valid(u);
    const isTime = this.#hooks.isIdle() && this.#foretold.hasRoom;
    if (grant === undefined || !isTime || !this.#hooks.mayServe(grant) || !isTagName(tag)) return;
    try {
      const found = foretell(this.#session, this.#datacenter, grant, tag, data);
      if (found === undefined || this.#trust?.refusalOf(found) !== undefined) return;
      const id = tagId(u, tag);
      this.#foretold.add(id, found);
      this.#hooks.onForetold({ ...found, id, u, tag });
    } catch (error) {
      if (!(error instanceof HumqError)) throw error;
    }
  }

  /** A cancel record was heard; only a hint, what counts is what the broker holds then. */
  async #cancelled(subject: string, heard: Uint8Array): Promise<void> {
    const { u, tag } = parseTagSubject(subject);
    if (!this.#hooks.isActive(tagId(u, tag))) return;
    try {
      await readBack(this.#reader, streamOf.tags(u), subjectOf.cancel(u, tag), heard);
    } catch (error) {
      this.#log.warn(`could not read what is cancelled of ${tag}: ${(error as Error).message}`);
    }
    this.#hooks.onCancel(tagId(u, tag));
  }

  async #hint(subject: string, heard: Uint8Array): Promise<void> {
    const { u, tag } = parseTagSubject(subject);
    const closing = readBack(this.#reader, streamOf.tags(u), subjectOf.close(u, tag), heard);
    closing.catch((error: Error) => this.#log.warn(`could not read ${tag}: ${error.message}`));
    // Of a tag that is being worked on what is new is looked for when its record is stored.
    if (this.#hooks.isActive(tagId(u, tag))) await closing.catch(() => undefined);
    const settled = (await this.#tell(u, tag)) || (await this.#consider(u, tag, closing));
    const seq = (await closing.catch(() => undefined))?.seq;
    if (seq !== undefined) this.#catalogueOf(u).note(tag, seq, settled);
  }

  /** @returns false where it is to be looked at again later: the broker did not answer, or the grant is not valid now */
  async #consider(u: string, tag: string, closing?: Promise<Stored | null>): Promise<boolean> {
    const grant = this.#trust?.valid(u);
    if (grant === undefined || !this.#hooks.hasRoomFor(u)) return false;
    if (!this.#hooks.mayServe(grant)) {
      this.#log.warn(
        `not running ${tag} by ${grant.name}: without bubblewrap this worker runs only its owner's calls (or start it with --unsafe)`,
      );
      return true;
    }
    try {
      const runnable = await readTag(
        this.#session,
        this.#datacenter,
        this.#reader,
        grant,
        tag,
        this.#foretold,
        closing,
      );
      if (runnable !== undefined) this.#hooks.onTag(this.#judged(runnable));
      return true;
    } catch (error) {
      const permanent = error instanceof RefusedError || error instanceof DecodeError;
      const what = error instanceof VersionError ? "not running" : permanent ? "refused" : "could not read";
      const reason = (error as Error).message;
      this.#log.warn(`${what} ${tag} by ${grant.name}: ${reason}`);
      if (what === "refused") {
        this.#audit.refused({ what: "tag", reason, name: grant.name, user: grant.user, tag });
        await tellRefused(this.#session, this.#datacenter, grant, tag, reason, this.#log);
      }
      return permanent || error instanceof VersionError;
    }
  }

  /** What was submitted before a revocation is refused, call by call, so that its submitter is told. */
  #judged(runnable: RunnableTag): RunnableTag {
    const refusal = this.#trust?.refusalOf(runnable);
    if (refusal === undefined) return runnable;
    const { tag, grant } = runnable;
    this.#log.warn(`refused ${tag} by ${grant.name}: ${refusal}`);
    this.#audit.refused({ what: "tag", reason: refusal, tag, name: grant.name, user: grant.user });
    return { ...runnable, refusal };
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const live of this.#live) live.unsubscribe();
    this.#trust?.close();
  }
}
