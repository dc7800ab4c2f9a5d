/** The low-level operations, for programs that keep a connection of their own. */
import { Lanes } from "./broker/lanes.ts";
import { type CancelOptions, cancelChosen, checkCancel } from "./control/cancel.ts";
import { changeConcurrency } from "./control/concurrency.ts";
import { checkDelete, type DeleteOptions, deleteOf } from "./control/delete.ts";
import { InstanceError } from "./errors.ts";
import { findInstance } from "./instance/home.ts";
import { openAnySession, openSession, type Session } from "./instance/session.ts";
import { checkConcurrency } from "./options.ts";
import { withShared } from "./share/access.ts";
import { findAnyTag } from "./share/find.ts";
import { type SharedTag, sharedWithMe } from "./share/others.ts";
import { sharedStatus } from "./share/status.ts";
import { openTag } from "./tag/access.ts";
import { openLiveTag } from "./tag/expiry.ts";
import { countStoredCalls } from "./tag/half.ts";
import { findTag, isHalfSubmitted, type ListedTag, listTags } from "./tag/list.ts";
import { type StatusOptions, type TagStatus, tagStatus } from "./tag/status.ts";
import { PROTOCOL } from "./version.ts";
import { type Explanation, explainTag } from "./watch/explain.ts";
import { listWorkers, type WorkerEntry } from "./watch/workers.ts";

export interface Pong {
  instance: string;
  /** The server that answered. */
  server: string;
  serverVersion: string;
  /** Your name and role on this instance. */
  name: string;
  role: string;
  /** Milliseconds there and back. */
  roundTripMs: number;
}

/** Tags whose counts are asked for at the same time. */
const LOOKS_AT_ONCE = 8;

function listedOf({ owner, share }: SharedTag): ListedTag {
  const { tag, createdMs, expiresMs, datacenters, calls } = share;
  return { tag, createdMs, expiresMs, datacenters, calls, protocol: PROTOCOL, sharedBy: owner.name };
}

export class Client {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Logs in as the person whose key is on this machine.
   * @throws InstanceError where the instance is not known here or access was not granted; BrokerError where it
   *   cannot be reached
   */
  static async open(options: { instance?: string } = {}): Promise<Client> {
    return new Client(await openSession(findInstance(options.instance)));
  }

  /** As {@link Client.open}; where only a datacenter's key is on this machine, as that datacenter, which can `ping` and little else. */
  static async openAny(options: { instance?: string } = {}): Promise<Client> {
    return new Client(await openAnySession(findInstance(options.instance), "humq"));
  }

  async ping(): Promise<Pong> {
    const { nc, instance, grant } = this.#session;
    const roundTripMs = await nc.rtt();
    return {
      instance: instance.name,
      server: nc.getServer(),
      serverVersion: nc.info?.version ?? "unknown",
      name: grant.name,
      role: grant.role,
      roundTripMs,
    };
  }

  /** All tags that the broker holds for you, the oldest first; then those that others share with you. */
  async tags(): Promise<ListedTag[]> {
    const tags = await listTags(this.#session);
    const half = tags.filter(isHalfSubmitted);
    const lanes = new Lanes(LOOKS_AT_ONCE);
    for (const listed of half) {
      await lanes.run(async () => {
        listed.stored = await openTag(this.#session, listed.tag).then(countStoredCalls, (error: unknown) => {
          // It was deleted since they were listed.
          if (error instanceof InstanceError) return 0;
          throw error;
        });
      });
    }
    await lanes.done();
    const shared = await sharedWithMe(this.#session);
    return [...tags, ...shared.map(listedOf)];
  }

  /** @param tag a full name, an unambiguous beginning of one, or `last`; of a shared tag also `NAME:TAG` */
  async status(tag: string, options: StatusOptions = {}): Promise<TagStatus> {
    const found = await findAnyTag(this.#session, tag);
    if (typeof found === "string") return tagStatus(this.#session, found, options);
    return withShared(this.#session, found, (access) => sharedStatus(access, options));
  }

  /** The status of all tags that the broker holds for you, the oldest first; not of those that another version submitted. `byState` is left out where there are errors. */
  async statuses(): Promise<TagStatus[]> {
    const tags = (await listTags(this.#session)).filter(({ protocol }) => protocol === PROTOCOL);
    const statuses: (TagStatus | undefined)[] = [];
    const lanes = new Lanes(LOOKS_AT_ONCE);
    for (const [i, { tag }] of tags.entries()) {
      await lanes.run(async () => {
        statuses[i] = await tagStatus(this.#session, tag, { byState: false }).catch((error: unknown) => {
          // It was deleted since they were listed.
          if (error instanceof InstanceError) return undefined;
          throw error;
        });
      });
    }
    await lanes.done();
    return statuses.filter((status) => status !== undefined);
  }

  /**
   * Why a tag is not running, or what it waits for.
   * @param tag a full name, an unambiguous beginning of one, or `last`
   */
  async explain(tag: string): Promise<Explanation> {
    return explainTag(this.#session, await findTag(this.#session, tag));
  }

  /**
   * Changes how many calls of a tag run at once at most; see {@link Tag.setConcurrency}.
   * @param tag a full name, an unambiguous beginning of one, or `last`
   */
  async setConcurrency(tag: string, concurrency: number | null): Promise<void> {
    const limit = checkConcurrency("concurrency", concurrency);
    await changeConcurrency(await openLiveTag(this.#session, await findTag(this.#session, tag)), limit);
  }

  /**
   * Ends calls that have not ended; see {@link Tag.cancel}.
   * @param tag a full name, an unambiguous beginning of one, or `last`
   * @returns how many
   */
  async cancel(tag: string, options: CancelOptions = {}): Promise<number> {
    const access = await openLiveTag(this.#session, await findTag(this.#session, tag));
    const { closing, manifest } = access;
    if (closing === undefined)
      throw new InstanceError(`${manifest.tag} was not submitted to its end, so nothing of it runs: delete it`);
    return cancelChosen(access, checkCancel(options, closing.calls));
  }

  /**
   * Removes a tag, or what some of its calls ended with; see {@link Tag.delete}. Nothing counts as pulled here.
   * @param tag a full name, an unambiguous beginning of one, or `last`
   * @throws HumqError where there are outcomes and `force` is not set
   */
  async delete(tag: string, options: Omit<DeleteOptions, "downloadedOnly"> = {}): Promise<number> {
    checkDelete(options);
    return deleteOf(this.#session, await findTag(this.#session, tag), undefined, options);
  }

  /** All workers of the instance that are there, by datacenter and name. */
  workers(): Promise<WorkerEntry[]> {
    return listWorkers(this.#session);
  }

  async close(): Promise<void> {
    await this.#session.nc.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
