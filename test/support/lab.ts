/** A whole instance, without a worker unless it is asked for, and people who join it from homes of their own. */
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { shortUser } from "../../core/broker/names.ts";
import { Admin } from "../../core/instance/admin.ts";
import { type GrantOptions, grantAccess } from "../../core/instance/grant.ts";
import { Instance } from "../../core/instance/home.ts";
import { requestAccess } from "../../core/instance/join.ts";
import { openSession, type Session } from "../../core/instance/session.ts";
import { type Embedded, type EmbeddedOptions, startEmbedded } from "../../core/instance/up.ts";
import type { Grant } from "../../core/trust/grant.ts";
import { temporaryDirectory } from "./tools.ts";

export interface Person {
  instance: Instance;
  grant: Grant;
  session: Session;
  nc: NatsConnection;
  /** Short user, as it stands in subjects. */
  u: string;
}

/** The owner's `HUMQ_HOME` is the process' own while the lab is open, so one lab a test file. */
export class Lab implements AsyncDisposable {
  readonly #directory: ReturnType<typeof temporaryDirectory>;
  readonly #connections: NatsConnection[] = [];
  readonly #homeBefore = process.env.HUMQ_HOME;
  #started: Embedded | undefined;

  private constructor(directory: ReturnType<typeof temporaryDirectory>) {
    this.#directory = directory;
  }

  static async start(options: EmbeddedOptions = {}): Promise<Lab> {
    const directory = temporaryDirectory("humq lab ");
    const lab = new Lab(directory);
    process.env.HUMQ_HOME = join(directory.path, "owner");
    try {
      lab.#started = await startEmbedded({ worker: false, ...options, instance: "lab" });
      return lab;
    } catch (error) {
      lab.#leave();
      throw error;
    }
  }

  get #embedded(): Embedded {
    if (this.#started === undefined) throw new Error("the lab is closed");
    return this.#started;
  }

  #leave(): void {
    if (this.#homeBefore === undefined) delete process.env.HUMQ_HOME;
    else process.env.HUMQ_HOME = this.#homeBefore;
    this.#directory[Symbol.dispose]();
  }

  /** The owner's side. */
  get instance(): Instance {
    return this.#embedded.instance;
  }

  get link(): string {
    return this.#embedded.link;
  }

  get url(): string {
    return this.#embedded.server.url;
  }

  /** Where the broker keeps everything. */
  get serverFolder(): string {
    return this.instance.serverFolder;
  }

  /** The request of somebody who has a home of that name; made where there is none. */
  request(name: string, options: { datacenter?: string } = {}): { request: string; instance: Instance } {
    const home = process.env.HUMQ_HOME;
    process.env.HUMQ_HOME = join(this.#directory.path, "homes", name);
    try {
      return { request: requestAccess(this.link, options), instance: new Instance("lab") };
    } finally {
      process.env.HUMQ_HOME = home;
    }
  }

  /** The owner lets the holder of a request in. */
  grant(request: string, name: string, options: GrantOptions = {}): Promise<Grant> {
    return grantAccess(request, name, { ...options, instance: "lab" });
  }

  /** Somebody joins, is granted access under their name, and logs in. */
  async join(name: string, options: GrantOptions = {}): Promise<Person> {
    const keyOf = options.role === "worker" ? { datacenter: options.datacenters?.[0] ?? name } : {};
    const { request, instance } = this.request(name, keyOf);
    const grant = await this.grant(request, name, options);
    const session = await this.logIn(instance, keyOf);
    return { instance, grant, session, nc: session.nc, u: shortUser(grant.user) };
  }

  /** Its connection is closed when the lab is. */
  async logIn(instance: Instance, options: { datacenter?: string } = {}): Promise<Session> {
    const session = await openSession(instance, options);
    this.#connections.push(session.nc);
    return session;
  }

  /** Logs in as the owner's datacenter `local`, as its workers do. */
  worker(): Promise<Session> {
    return this.logIn(this.instance, { datacenter: "local" });
  }

  /** A connection with every right inside one account, as whoever holds the root key can make it. */
  async inAccount(label: string): Promise<NatsConnection> {
    const admin = Admin.open(this.instance);
    const nc = await admin.login(label);
    this.#connections.push(nc);
    return nc;
  }

  /** Stops the broker in order and starts it again where it was. */
  async restart(): Promise<void> {
    await this.stop();
    this.#started = await startEmbedded({ instance: "lab", worker: false });
  }

  /** Stops worker and broker; their files stay until the lab is closed. */
  stop(): Promise<void> {
    return this.#embedded.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close()));
    await this.stop();
    this.#leave();
  }
}
