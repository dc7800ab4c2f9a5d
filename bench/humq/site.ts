import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Embedded, startEmbedded } from "../../core/instance/up.ts";
import type { Cleanup } from "../cleanup.ts";
import { Child } from "./child.ts";
import type { ClientOperations } from "./client-main.ts";
import { PACKAGE_ROOT } from "./root.ts";
import { type BenchWorker, startWorker } from "./worker.ts";

export type Client = Child<ClientOperations>;

/** What the bench alone can switch off. */
export interface Variant {
  /** The package's folder; default: this one. {@link makePlainPackage} makes one that does not encrypt. */
  readonly root?: string;
  /** False: the worker finds no bubblewrap that works, and runs its own owner's calls without. Default true. */
  readonly isolation?: boolean;
}

interface SiteOptions {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly cleanup: Cleanup;
}

/** An instance of its own on this machine: server, keys; workers and clients are processes beside it. */
export class Site {
  readonly #embedded: Embedded;
  readonly #options: SiteOptions;
  readonly #home: string;

  private constructor(embedded: Embedded, options: SiteOptions, home: string) {
    this.#embedded = embedded;
    this.#options = options;
    this.#home = home;
  }

  /** One site at a time: it is this process' `HUMQ_HOME`. */
  static async start(options: SiteOptions): Promise<Site> {
    const home = join(options.folder, "home");
    mkdirSync(home, { recursive: true, mode: 0o700 });
    process.env.HUMQ_HOME = home;
    const embedded = await startEmbedded({ worker: false, instance: "bench", signal: options.signal });
    options.cleanup.add(() => embedded.stop());
    return new Site(embedded, options, home);
  }

  get serverPid(): number {
    return this.#embedded.server.pid;
  }

  /** "nats-server 2.15.2". */
  get serverVersion(): string {
    return `nats-server ${this.#embedded.binary.version}`;
  }

  /** Where the server keeps everything. */
  get storeFolder(): string {
    return join(this.#embedded.instance.serverFolder, "store");
  }

  /** The environment of this site's processes. */
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, HUMQ_HOME: this.#home, HUMQ_INSTANCE: "bench" };
  }

  worker(slots: number, { root = PACKAGE_ROOT, isolation = true }: Variant = {}): Promise<BenchWorker> {
    const env = isolation ? this.env : { ...this.env, PATH: `${this.#withoutSandbox()}:${process.env.PATH}` };
    return startWorker({ root, slots, env, cleanup: this.#options.cleanup });
  }

  client({ root = PACKAGE_ROOT }: Variant = {}): Client {
    const script = join(import.meta.dirname, "client-main.ts");
    return new Child<ClientOperations>(script, { env: this.env, args: [root], cleanup: this.#options.cleanup });
  }

  /** A folder in which bubblewrap is found and does not work, as where user namespaces are forbidden. */
  #withoutSandbox(): string {
    const bin = join(this.#options.folder, "without-sandbox");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "bwrap"), "#!/bin/sh\necho 'switched off for the bench' >&2\nexit 1\n");
    chmodSync(join(bin, "bwrap"), 0o755);
    return bin;
  }
}
