/** The low-level operations, for programs that keep a connection of their own. */
import { findInstance } from "./instance/home.ts";
import { openSession, type Session } from "./instance/session.ts";
import { findTag, type ListedTag, listTags } from "./tag/list.ts";
import { type TagStatus, tagStatus } from "./tag/status.ts";

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

  /** All tags that the broker holds for you, the oldest first. */
  tags(): Promise<ListedTag[]> {
    return listTags(this.#session);
  }

  /** @param tag a full name, an unambiguous beginning of one, or `last` */
  async status(tag: string): Promise<TagStatus> {
    return tagStatus(this.#session, await findTag(this.#session, tag));
  }

  async close(): Promise<void> {
    await this.#session.nc.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
