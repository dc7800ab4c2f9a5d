/** A whole instance that the suite can do anything to: broker, proxy in front of it, workers, command-line clients. */
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Instance } from "../../../core/instance/home.ts";
import { type Embedded, startEmbedded } from "../../../core/instance/up.ts";
import { PROGRAM } from "../../support/cli.ts";
import { CuttingProxy, type Outage } from "../../support/cutting-proxy.ts";
import { type Finished, Running } from "../../support/processes.ts";
import { temporaryDirectory } from "../../support/tools.ts";
import type { Injected } from "../check/history.ts";
import { SmallDisk } from "./disk.ts";
import { processesOf } from "./processes.ts";
import type { Random } from "./random.ts";
import { Witness } from "./witness.ts";
import { FaultyWorker } from "./worker.ts";

const INSTANCE = "faults";
/** How long a client may take; one that hangs for longer fails its scenario. */
const CLIENT_TIMEOUT_MS = 900_000;

/** `HUMQ_HOME` is the owner's while the world is there, so one at a time in a process. */
export class World implements AsyncDisposable {
  readonly #directory: ReturnType<typeof temporaryDirectory>;
  readonly #homeBefore = process.env.HUMQ_HOME;
  readonly witness: Witness;
  readonly workers: FaultyWorker[] = [];
  readonly injected: Injected = { workers: 0, executors: 0 };
  #embedded: Embedded | undefined;
  #proxy: CuttingProxy | undefined;
  #disk: SmallDisk | undefined;
  #workersStarted = 0;
  #clientsStarted = 0;
  readonly #clientFolders = new Map<Running, string>();

  private constructor(directory: ReturnType<typeof temporaryDirectory>, witness: Witness) {
    this.#directory = directory;
    this.witness = witness;
  }

  static async start(): Promise<World> {
    // No spaces: the kernel writes them otherwise in its lists of mounts.
    const directory = temporaryDirectory("humq-faults-");
    const world = new World(directory, await Witness.start(join(directory.path, "witness")));
    process.env.HUMQ_HOME = world.#home("owner");
    world.#embedded = await startEmbedded({ instance: INSTANCE, worker: false });
    world.#proxy = await CuttingProxy.start(world.#embedded.server.url);
    for (const name of ["workers", "clients"]) world.#makeHome(name);
    return world;
  }

  get folder(): string {
    return this.#directory.path;
  }

  #home(name: string): string {
    return join(this.folder, "homes", name);
  }

  /** The owner's keys, reaching the broker through the proxy only. */
  #makeHome(name: string): void {
    const { instance } = this;
    const skipped = instance.serverFolder;
    cpSync(this.#home("owner"), this.#home(name), { recursive: true, filter: (from) => from !== skipped });
    process.env.HUMQ_HOME = this.#home(name);
    const copy = new Instance(INSTANCE);
    copy.saveLink({ ...instance.link, servers: [this.proxy.url] });
    process.env.HUMQ_HOME = this.#home("owner");
  }

  get instance(): Instance {
    return this.#broker.instance;
  }

  get #broker(): Embedded {
    if (this.#embedded === undefined) throw new Error("the broker is not running");
    return this.#embedded;
  }

  /** Between the broker and everybody but the suite itself. */
  get proxy(): CuttingProxy {
    if (this.#proxy === undefined) throw new Error("the world is not there yet");
    return this.#proxy;
  }

  /** Ends the broker without a warning. What it does not know of any more counts as lost. */
  async killBroker(): Promise<void> {
    const { server } = this.#broker;
    this.injected.workers++;
    this.#embedded = undefined;
    process.kill(server.pid, "SIGKILL");
    await server.exited;
  }

  /** Starts it again where it was, with what it had stored. */
  async startBroker(): Promise<void> {
    this.#embedded = await startEmbedded({ instance: INSTANCE, worker: false });
  }

  /** Ends the broker in order and starts it again where it was. */
  async restartBroker(): Promise<void> {
    await this.#stopBroker();
    await this.startBroker();
  }

  async #stopBroker(): Promise<void> {
    const broker = this.#broker;
    this.#embedded = undefined;
    await broker.stop();
  }

  /**
   * Moves the broker's data to a small disk of their own.
   * @returns undefined where this account may not mount anything
   */
  async useSmallDisk(bytes: number): Promise<SmallDisk | undefined> {
    const store = join(this.instance.serverFolder, "store");
    await this.#stopBroker();
    this.#disk = SmallDisk.mount(store, bytes);
    await this.startBroker();
    return this.#disk;
  }

  /** Starts a worker and waits until it is ready. */
  async startWorker(slots = 2): Promise<FaultyWorker> {
    const label = `w${++this.#workersStarted}`;
    const worker = await FaultyWorker.start(label, slots, {
      HUMQ_HOME: this.#home("workers"),
      HUMQ_INSTANCE: undefined,
      NODE_ENV: label,
      TMPDIR: this.#temporary("workers"),
    });
    this.workers.push(worker);
    return worker;
  }

  /** Kills it; what it had in hand counts as lost. */
  async killWorker(worker: FaultyWorker): Promise<void> {
    this.injected.workers++;
    this.workers.splice(this.workers.indexOf(worker), 1);
    await worker.kill();
  }

  /** @throws where a worker has ended that nobody ended, with what it said */
  checkWorkers(): void {
    const ended = this.workers.find(({ isRunning }) => !isRunning);
    if (ended !== undefined) throw new Error(`worker ${ended.label} ended by itself: ${ended.said.slice(-2000)}`);
  }

  /** Stops it in order. */
  terminateWorker(worker: FaultyWorker): Promise<Finished> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    return worker.terminate();
  }

  /** Makes it stand still; for longer than its lease, its calls are lost. */
  freeze(worker: FaultyWorker): void {
    this.injected.workers++;
    worker.freeze();
  }

  /** Kills one of a worker's executors, or the sandbox around it. */
  killExecutor(worker: FaultyWorker, random: Random): void {
    const victim = random.pick(worker.executors);
    if (victim === undefined) return;
    this.injected.executors++;
    try {
      process.kill(victim, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** Cuts everybody off from the broker: to it all workers have vanished. */
  cut(outage: Outage): void {
    this.injected.workers++;
    this.proxy.cut(outage);
  }

  #temporary(name: string): string {
    const path = join(this.folder, "tmp", name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Runs a command of a user's. What it leaves in its folder for temporary files is a leftover. */
  client(args: readonly string[]): Running {
    const temporary = this.#temporary(`client-${++this.#clientsStarted}`);
    const client = new Running(process.execPath, [PROGRAM, ...args], {
      cwd: this.folder,
      env: { HUMQ_HOME: this.#home("clients"), HUMQ_INSTANCE: undefined, TMPDIR: temporary },
      timeoutMs: CLIENT_TIMEOUT_MS,
    });
    this.#clientFolders.set(client, temporary);
    return client;
  }

  /** A client that is killed leaves temporary files, as the documentation says. */
  async killClient(client: Running): Promise<Finished> {
    const finished = await client.stop("SIGKILL");
    rmSync(this.#clientFolders.get(client)!, { recursive: true });
    return finished;
  }

  /** The same, to its end. @throws where it fails, with what it said */
  async run(args: readonly string[]): Promise<Finished> {
    const finished = await this.client(args).finished;
    if (finished.code === 0) return finished;
    const { code, signal, stdout, stderr } = finished;
    throw new Error(`humq ${args.join(" ")} ended with ${code ?? signal}: ${stdout}${stderr}`);
  }

  /** Stops workers and broker in order. @returns processes and files that are there all the same */
  async stop(): Promise<string[]> {
    this.proxy.mend();
    await Promise.all(this.workers.splice(0).map((worker) => worker.end()));
    await this.#embedded?.stop();
    this.#embedded = undefined;
    // Other sandboxes on this machine may have got the mount as well.
    this.#disk?.[Symbol.dispose]();
    return [...processesOf(this.folder), ...this.#leftFiles()];
  }

  /** Folders that are meant to stay: the workers' own, and a cache that tsx, where humq runs from its sources, keeps. */
  #leftFiles(): string[] {
    const tmp = join(this.folder, "tmp");
    return readdirSync(tmp, { recursive: true, encoding: "utf8" })
      .filter((name) => !/^[^/]+(?:\/humq-\d+|\/tsx-\d+(?:\/.*)?)?$/.test(name))
      .map((name) => `file ${join(tmp, name)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
      await this.#proxy?.[Symbol.asyncDispose]();
      await this.witness[Symbol.asyncDispose]();
    } finally {
      if (this.#homeBefore === undefined) delete process.env.HUMQ_HOME;
      else process.env.HUMQ_HOME = this.#homeBefore;
      this.#directory[Symbol.dispose]();
    }
  }
}
