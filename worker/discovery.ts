/** Finding tags to run: all that are stored, then live hints of new ones. */
import type { Subscription } from "@nats-io/transport-node";
import { IMPORTED_API, parseTagSubject, shortUser, streamOf, subjectOf } from "../core/broker/names.ts";
import { StreamReader } from "../core/broker/read.ts";
import { DecodeError, RefusedError, VersionError } from "../core/errors.ts";
import type { Session } from "../core/instance/session.ts";
import type { Grant } from "../core/trust/grant.ts";
import { GrantBook } from "./grants.ts";
import { hear } from "./hear.ts";
import type { Log } from "./log.ts";
import { readBack } from "./read-back.ts";
import { type RunnableTag, readTag, tagId } from "./tag.ts";

/** Live hints can be lost: everything is looked through again now and then. */
const SWEEP_MS = 60_000;

export interface DiscoveryHooks {
  /** Whether calls of this user may run here at all. */
  mayServe(grant: Grant): boolean;
  /** True where the tag (by its id) is being worked on already, or was finished. */
  knows(id: string): boolean;
  /** Something new was heard of a tag: look at it again. */
  onHint(id: string): void;
  onTag(tag: RunnableTag): void;
  /** Calls of a tag (by its id) may have been cancelled. */
  onCancel(id: string): void;
  /** The same of any tag: hints may have been missed. */
  onSweep(): Promise<void>;
}

export class Discovery {
  readonly #session: Session;
  readonly #datacenter: string;
  readonly #reader: StreamReader;
  readonly #log: Log;
  readonly #hooks: DiscoveryHooks;
  readonly #refused = new Set<string>();
  #grants: GrantBook | undefined;
  #live: Subscription[] = [];
  #sweep: NodeJS.Timeout | undefined;
  #sweeping = false;
  /** Something may have been missed since the last sweep began. */
  #sweepsWanted = false;

  private constructor(session: Session, datacenter: string, reader: StreamReader, log: Log, hooks: DiscoveryHooks) {
    this.#session = session;
    this.#datacenter = datacenter;
    this.#reader = reader;
    this.#log = log;
    this.#hooks = hooks;
  }

  static async open(session: Session, datacenter: string, log: Log, hooks: DiscoveryHooks): Promise<Discovery> {
    const reader = await StreamReader.open(session.nc, IMPORTED_API);
    const discovery = new Discovery(session, datacenter, reader, log, hooks);
    discovery.#live = [
      hear(session.nc, subjectOf.anyClose(), log, ({ subject, data }) => void discovery.#hint(subject, data)),
      hear(session.nc, subjectOf.anyCancel(), log, ({ subject, data }) => void discovery.#cancelled(subject, data)),
    ];
    discovery.#grants = await GrantBook.open(session, datacenter, log, (grant) => void discovery.#scan(grant));
    discovery.#sweep = setInterval(() => void discovery.sweep(), SWEEP_MS);
    void discovery.sweep();
    return discovery;
  }

  /** Whether the user's grant is valid at this moment. */
  mayRunNow(u: string): boolean {
    return this.#grants?.valid(u) !== undefined;
  }

  /** Looks through the stored grants and tags of all users; also after a reconnect, when hints were missed. */
  async sweep(): Promise<void> {
    this.#sweepsWanted = true;
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      while (this.#sweepsWanted) {
        this.#sweepsWanted = false;
        await this.#sweepOnce();
      }
    } finally {
      this.#sweeping = false;
    }
  }

  async #sweepOnce(): Promise<void> {
    const grants = this.#grants;
    if (grants === undefined) return;
    try {
      await grants.reload();
    } catch (error) {
      this.#log.warn(`could not read the grants: ${(error as Error).message}`);
    }
    for (const grant of grants.all()) await this.#scan(grant);
    await this.#hooks.onSweep();
  }

  async #scan(grant: Grant): Promise<void> {
    const u = shortUser(grant.user);
    if (!this.#hooks.mayServe(grant)) return;
    try {
      for await (const stored of this.#reader.all(streamOf.tags(u), subjectOf.close(u, "*"))) {
        const { tag } = parseTagSubject(stored.subject);
        if (!this.#hooks.knows(tagId(u, tag))) await this.#consider(u, tag);
      }
    } catch (error) {
      this.#log.warn(`could not look through the tags of ${grant.name}: ${(error as Error).message}`);
    }
  }

  /** A cancel record was heard; only a hint, what counts is what the broker holds then. */
  async #cancelled(subject: string, heard: Uint8Array): Promise<void> {
    const { u, tag } = parseTagSubject(subject);
    if (!this.#hooks.knows(tagId(u, tag))) return;
    try {
      await readBack(this.#reader, streamOf.tags(u), subjectOf.cancel(u, tag), heard);
    } catch (error) {
      this.#log.warn(`could not read what is cancelled of ${tag}: ${(error as Error).message}`);
    }
    this.#hooks.onCancel(tagId(u, tag));
  }

  async #hint(subject: string, heard: Uint8Array): Promise<void> {
    const { u, tag } = parseTagSubject(subject);
    try {
      await readBack(this.#reader, streamOf.tags(u), subjectOf.close(u, tag), heard);
    } catch (error) {
      this.#log.warn(`could not read ${tag}: ${(error as Error).message}`);
    }
    this.#hooks.onHint(tagId(u, tag));
    if (!this.#hooks.knows(tagId(u, tag))) await this.#consider(u, tag);
  }

  async #consider(u: string, tag: string): Promise<void> {
    const grant = this.#grants?.valid(u);
    if (grant === undefined || this.#refused.has(tagId(u, tag))) return;
    if (!this.#hooks.mayServe(grant)) {
      this.#refused.add(tagId(u, tag));
      this.#log.warn(
        `not running ${tag} by ${grant.name}: without bubblewrap this worker runs only its owner's calls (or start it with --unsafe)`,
      );
      return;
    }
    try {
      const runnable = await readTag(this.#session, this.#datacenter, this.#reader, grant, tag);
      if (runnable !== undefined) this.#hooks.onTag(runnable);
    } catch (error) {
      const permanent = error instanceof RefusedError || error instanceof DecodeError;
      if (permanent) this.#refused.add(tagId(u, tag));
      const what = error instanceof VersionError ? "not running" : permanent ? "refused" : "could not read";
      this.#log.warn(`${what} ${tag} by ${grant.name}: ${(error as Error).message}`);
    }
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const live of this.#live) live.unsubscribe();
    this.#grants?.close();
  }
}
