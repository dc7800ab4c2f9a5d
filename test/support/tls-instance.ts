/** An instance on a server with TLS, as `humq init` makes it, in this process' HUMQ_HOME; its server is a real one. */
import { join } from "node:path";
import type { Instance } from "../../core/instance/home.ts";
import { finishInit, type InitOptions, initInstance } from "../../core/instance/init.ts";
import { findFreePort } from "../../core/instance/server/index.ts";
import { Running } from "./processes.ts";
import { serverBinary, temporaryDirectory } from "./tools.ts";

export class TlsInstance implements AsyncDisposable {
  readonly #directory: ReturnType<typeof temporaryDirectory>;
  readonly #homeBefore = process.env.HUMQ_HOME;
  readonly instance: Instance;
  readonly link: string;
  /** Where the server listens; clients may be told another one. */
  readonly port: number;
  #server: Running | undefined;

  private constructor(directory: ReturnType<typeof temporaryDirectory>, port: number, made: [Instance, string]) {
    this.#directory = directory;
    this.port = port;
    [this.instance, this.link] = made;
  }

  /**
   * Makes the instance; {@link start} starts its server.
   * @param options `port` is the one in the link; by default that of the server
   */
  static async make(options: Partial<InitOptions> = {}): Promise<TlsInstance> {
    const directory = temporaryDirectory("humq tls ");
    const home = process.env.HUMQ_HOME;
    process.env.HUMQ_HOME = join(directory.path, "home");
    try {
      const port = await findFreePort();
      const folder = join(directory.path, "server");
      const made = await initInstance({ instance: "lab", host: "localhost", port, folder, tls: "own", ...options });
      return new TlsInstance(directory, port, [made.instance, made.link]);
    } catch (error) {
      process.env.HUMQ_HOME = home;
      directory[Symbol.dispose]();
      throw error;
    }
  }

  get folder(): string {
    return join(this.#directory.path, "server");
  }

  get server(): Running {
    if (this.#server === undefined) throw new Error("the server was not started");
    return this.#server;
  }

  /** The server, and everything on it that the instance needs. */
  async start(): Promise<this> {
    await this.startServer();
    await finishInit(this.instance);
    return this;
  }

  async startServer(): Promise<void> {
    const args = ["-c", "nats.conf", "-a", "127.0.0.1", "-p", String(this.port)];
    this.#server = new Running(await serverBinary(), args, { cwd: this.folder, timeoutMs: 600_000 });
    await this.#server.until(/Server is ready/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop();
    if (this.#homeBefore === undefined) delete process.env.HUMQ_HOME;
    else process.env.HUMQ_HOME = this.#homeBefore;
    this.#directory[Symbol.dispose]();
  }
}
