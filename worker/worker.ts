/** A worker: finds tags, pulls their calls, runs them on its slots, stores what comes out. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IMPORTED_API } from "../core/broker/names.ts";
import { StreamReader } from "../core/broker/read.ts";
import { DecodeError, RefusedError } from "../core/errors.ts";
import { findInstance, type Instance } from "../core/instance/home.ts";
import { checkInstanceOf } from "../core/instance/protocol.ts";
import type { Session } from "../core/instance/session.ts";
import { timeAskedMs } from "../core/trust/options.ts";
import { PROTOCOL, VERSION } from "../core/version.ts";
import { boundYoungSpace } from "../core/young-space.ts";
import { ActiveTag } from "./active.ts";
import { Audit } from "./audit/audit.ts";
import { CodeCache } from "./code.ts";
import { Cuts } from "./cuts.ts";
import { Discovery } from "./discovery.ts";
import type { TagSetup } from "./executor/job.ts";
import { Feeder } from "./feeder.ts";
import { checkDemands } from "./isolation/demands.ts";
import { closeInspector } from "./isolation/inspector.ts";
import { type Isolation, mayRun } from "./isolation/isolation.ts";
import { type Allowance, allowanceOf } from "./limits/allowance.ts";
import { lackOf, workerMemoryBytes, workerSlots } from "./limits/capacity.ts";
import { MemoryGroups } from "./limits/cgroup.ts";
import { checkLeaveOptions, Leave } from "./limits/leave.ts";
import { type Log, silentLog } from "./log.ts";
import { logIn } from "./log-in.ts";
import { LogWriter } from "./logs.ts";
import { workerName } from "./name.ts";
import type { WorkerOptions } from "./options.ts";
import { packagesFolder } from "./packages/index.ts";
import { type Executors, type OpenLeases, OWN_PARTS } from "./parts.ts";
import { PerUser } from "./per-user.ts";
import { Puller } from "./pull.ts";
import { Registry } from "./registry.ts";
import { Runner } from "./runner.ts";
import { isCallsError, prepareTag } from "./setup.ts";
import { ShutOutError } from "./shut-out.ts";

/** How long running calls may take to end when the worker stops. */
const STOP_GRACE_MS = 5_000;
/** How often to look whether what is held ahead may still be begun. */
const EXPIRY_LOOK_MS = 1_000;

export class Worker {
  readonly name: string;
  readonly datacenter: string;
  readonly slots: number;
  /** Memory that running calls may ask for together, in bytes. */
  readonly memoryBytes: number;
  readonly isolation: Isolation;
  readonly unsafe: boolean;
  /** What user code sees of the network; `none` is a loopback of its own. */
  readonly network: "host" | "none";
  /** What each call may take of this machine. */
  readonly allowance: Allowance;
  /** Resolves when it has stopped; rejects where the broker shut it out. */
  readonly finished: Promise<void>;
  readonly #session: Session;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #puller: Puller;
  readonly #feeder: Feeder;
  readonly #runner: Runner;
  readonly #leave: Leave;
  readonly #leases: OpenLeases;
  readonly #pool: Executors;
  readonly #expiry: NodeJS.Timeout;
  readonly #registry: Registry;
  readonly #setups = new Map<string, Promise<TagSetup>>();
  readonly #codes: CodeCache;
  readonly #cuts = new Cuts();
  readonly #obeying = new PerUser();
  readonly #bounded = boundYoungSpace();
  #discovery: Discovery | undefined;
  #resolveFinished: () => void = () => undefined;
  #rejectFinished: (reason: Error) => void = () => undefined;
  #lost: Error | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws InstanceError where this machine has no worker's grant; UsageError where an option is wrong */
  static async start(options: WorkerOptions = {}, parts = OWN_PARTS): Promise<Worker> {
    const slots = workerSlots(options.slots);
    checkLeaveOptions(options);
    const memoryBytes = workerMemoryBytes(options.memory);
    const allowance = allowanceOf(options, tmpdir(), slots);
    const found = await parts.detectIsolation();
    checkDemands(options, found);
    closeInspector();
    const { isolation } = found;
    const network = options.network ?? "host";
    const instance = findInstance(options.instance);
    const name = workerName();
    let worker: Worker | undefined;
    const session = await logIn(instance, options.datacenter, options.log ?? silentLog, () => {
      if (worker !== undefined) worker.#onReconnect();
    });
    await checkInstanceOf(session).catch(async (error: unknown) => {
      await session.nc.close();
      throw error;
    });
    const runner = { current: undefined as Runner | undefined };
    const logs = new LogWriter(session.nc);
    const pool = await parts.openExecutors(
      {
        slots,
        memoryBytes,
        memoryGroups: MemoryGroups.open(),
        allowance,
        worker: name,
        isolation,
        network,
        workRoot: join(tmpdir(), `humq-${process.getuid?.() ?? "work"}`),
        packagesRootOf: (user) => packagesFolder(packagesCache(instance), user),
      },
      {
        onRunning: (job) => runner.current?.onRunning(job),
        onOutcome: (job, outcome) => runner.current?.onOutcome(job, outcome),
        onResultPart: (job, index, part, bytes) =>
          runner.current?.onResultPart(job, index, part, bytes) ?? Promise.resolve(),
        onOutput: (job, index, stream, bytes) => logs.write(job, index, stream, bytes),
      },
    );
    const reader = await StreamReader.open(session.nc, IMPORTED_API);
    const leases = parts.openLeases(
      session,
      () => {
        if (worker !== undefined) worker.#onLapse();
      },
      (error) => {
        if (worker !== undefined) worker.#leaveBecause(error);
      },
    );
    const audit = await Audit.open(instance, {
      worker: name,
      datacenter: session.grant.datacenters[0] ?? session.grant.name,
      user: session.identity.user,
      isolation,
      unsafe: options.unsafe === true,
      log: options.log ?? silentLog,
    });
    const facts = { name, slots, memoryBytes, isolation, allowance, network, audit };
    worker = new Worker(session, { ...options, ...facts }, pool, reader, leases);
    runner.current = worker.#runner;
    await worker.#discover();
    return worker;
  }

  private constructor(
    session: Session,
    options: WorkerOptions &
      Pick<Worker, "name" | "slots" | "memoryBytes" | "isolation" | "allowance" | "network"> & { audit: Audit },
    pool: Executors,
    reader: StreamReader,
    leases: OpenLeases,
  ) {
    const { nc, grant } = session;
    this.#leases = leases;
    this.#session = session;
    this.#log = options.log ?? silentLog;
    this.#audit = options.audit;
    this.datacenter = grant.datacenters[0] ?? grant.name;
    this.name = options.name;
    this.slots = options.slots;
    this.memoryBytes = options.memoryBytes;
    this.isolation = options.isolation;
    this.unsafe = options.unsafe === true;
    this.network = options.network;
    this.allowance = options.allowance;
    this.#pool = pool;
    this.#codes = new CodeCache(reader);
    this.#puller = new Puller(nc, leases);
    this.#feeder = new Feeder(
      this.#puller,
      { cpus: this.slots, memoryBytes: this.memoryBytes },
      this.#log,
      (tag) => this.#mayBegin(tag) && this.#audit.writable && this.#leave.takes(timeAskedMs(tag.runnable.options)),
      (tag) => this.#leave.room(tag.runnable.options.chunkSize),
      (tag, delivery) => {
        this.#leave.took(tag.runnable.options.chunkSize);
        this.#runner.take(tag, delivery);
      },
      (tag, hasRoomAgain) => this.#forget(tag, hasRoomAgain),
    );
    this.#runner = new Runner({
      nc,
      reader,
      datacenter: this.datacenter,
      worker: this.name,
      log: this.#log,
      audit: this.#audit,
      cuts: this.#cuts,
      mayBegin: (tag) => this.#mayBegin(tag),
      setupOf: (tag) => this.#setupOf(tag),
      onRan: (tag, tookMs) => this.#feeder.ran(tag, tookMs),
      onEnded: (tag, bytes) => {
        this.#feeder.ended(tag, bytes);
        this.#leave.ended();
      },
      onDelayed: (tag, delayMs) => {
        setTimeout(() => this.#feeder.rouse(tag.runnable.id), delayMs).unref();
      },
    });
    this.#runner.use(pool);
    this.#audit.use(() => {
      for (const { runnable } of this.#feeder.tags) this.#feeder.rouse(runnable.id);
    });
    this.#leave = new Leave(
      options,
      () => this.#runner.idle,
      (reason) => {
        this.#log.info(`leaving: ${reason}`);
        void this.stop();
      },
    );
    this.#expiry = setInterval(() => this.#runner.releaseHeld(), EXPIRY_LOOK_MS);
    const startedMs = Date.now();
    this.#registry = new Registry(nc, () => ({
      worker: this.name,
      datacenter: this.datacenter,
      slots: this.slots,
      ...this.#runner.activity,
      memoryBytes: this.memoryBytes,
      reservedBytes: this.#pool.reservedBytes,
      leavesMs: this.#leave.leavesMs,
      isolation: this.isolation,
      unsafe: this.unsafe,
      holds: this.#discovery?.trust?.held ?? null,
      network: this.network,
      version: VERSION,
      protocol: PROTOCOL,
      startedMs,
    }));
    this.finished = new Promise((resolve, reject) => {
      this.#resolveFinished = resolve;
      this.#rejectFinished = reject;
    });
    // Whoever waits for it hears of it; nobody has to.
    this.finished.catch(() => undefined);
    void nc.closed().then((reason) => {
      this.#leaveBecause(new ShutOutError(reason instanceof Error ? reason.message : undefined));
    });
    void this.#feeder.run();
  }

  async #discover(): Promise<void> {
    const owner = this.#session.instance.identity()?.user;
    this.#discovery = await Discovery.open(this.#session, this.datacenter, this.#log, this.#audit, {
      mayServe: (grant) => mayRun({ isolation: this.isolation, sameOwner: grant.user === owner, unsafe: this.unsafe }),
      isActive: (id) => this.#feeder.has(id),
      hasRoomFor: (u) => this.#feeder.hasRoomFor(u),
      onHint: (id) => this.#obeyIfActive(id),
      onCancel: (id) => void this.#obeyIfActive(id),
      onTrust: () => this.#onTrust(),
      onSweep: async () => {
        this.#feeder.lookAgain();
        await this.#obeying.run(this.#feeder.tags, (tag) => this.#obey(tag));
      },
      isIdle: () => this.#runner.idle && this.#audit.writable,
      onForetold: (tag) => {
        const code = this.#codes.known(tag);
        if (code !== undefined) this.#audit.foretell(tag, code);
      },
      onTag: (runnable) => {
        const tag = new ActiveTag(runnable, this.memoryBytes);
        if (!this.#feeder.couldRun(tag)) {
          this.#log.warn(`not running ${runnable.tag}: ${lackOf(runnable.options, this)}`);
          return;
        }
        this.#log.info(`working on ${runnable.tag} by ${runnable.grant.name}`);
        if (this.#runner.idle && this.#codes.isReady(runnable)) void this.#setupOf(tag).catch(() => undefined);
        this.#feeder.add(tag);
        // A first call need not wait for a process to start.
        const { memoryBytes } = runnable.options;
        void this.#pool.prewarm(runnable.manifest.user, this.slots, memoryBytes).catch(() => undefined);
      },
    });
  }

  /** A grant that has run out holds what is queued, as does the lack of a fresh revocation list; what runs goes on. */
  #mayBegin(tag: ActiveTag): boolean {
    return !tag.expired && !tag.ended && this.#discovery?.trust?.valid(tag.runnable.u) !== undefined;
  }

  /** Somebody was granted access, or it was taken from them. */
  #onTrust(): void {
    const trust = this.#discovery?.trust;
    if (trust === undefined) return;
    if (trust.voided !== undefined) this.#leaveBecause(new ShutOutError(trust.voided));
    trust.end(this.#feeder.tags);
    this.#runner.endRevoked();
    this.#runner.releaseHeld();
    this.#feeder.lookAgain();
  }

  #onLapse(): void {
    const dropped = this.#runner.abandonUnstarted();
    if (dropped > 0)
      this.#log.warn(`dropping ${dropped} calls that were not begun: other workers may have them by now`);
  }

  /** It cannot go on. */
  #leaveBecause(error: Error): void {
    if (this.#stopping !== undefined) return;
    this.#lost = error;
    this.#log.warn(error.message);
    void this.stop();
  }

  /** What was on its way is lost: it is sent again at once, and hints that were missed are looked for. */
  #onReconnect(): void {
    this.#cuts.reconnected();
    this.#puller.reconnected();
    void this.#discovery?.sweep();
  }

  #setupOf(tag: ActiveTag): Promise<TagSetup> {
    const { runnable } = tag;
    let setup = this.#setups.get(runnable.id);
    if (setup === undefined) {
      const { isolation, network, allowance } = this;
      const { instance } = this.#session;
      setup = prepareTag(runnable, this.#codes, {
        packagesCache: packagesCache(instance),
        isolation,
        network,
        allowance,
        onCode: (code) => this.#audit.tag(runnable, code),
      });
      this.#setups.set(runnable.id, setup);
      // What may go better the next time is tried again; only what cannot is the calls' own error.
      setup.catch((error) => {
        if (!isCallsError(error)) this.#setups.delete(runnable.id);
      });
    }
    return setup;
  }

  async #obeyIfActive(id: string): Promise<void> {
    const tag = this.#feeder.tags.find(({ runnable }) => runnable.id === id);
    if (tag !== undefined) await this.#obey(tag);
  }

  /** Reads what the submitter said of a tag since, and lets go of calls that are not to run any more. */
  async #obey(tag: ActiveTag): Promise<void> {
    const { u, tag: name, control, grant } = tag.runnable;
    const [queue, records] = await Promise.allSettled([this.#puller.info(u, name), control.refresh()]);
    if (queue.status === "fulfilled" && queue.value !== undefined) tag.concurrency = queue.value.concurrency;
    for (const read of [queue, records]) {
      if (read.status !== "rejected") continue;
      const { message: reason } = read.reason as Error;
      this.#log.warn(`could not read what was changed of ${name}: ${reason}`);
      const isRefused = read.reason instanceof RefusedError || read.reason instanceof DecodeError;
      if (isRefused)
        this.#audit.refused({ what: "cancel or retry", reason, name: grant.name, user: grant.user, tag: name });
    }
    this.#runner.obey(tag);
    this.#feeder.rouse(tag.runnable.id);
  }

  #forget(tag: ActiveTag, hasRoomAgain: boolean): void {
    const { id, tag: name } = tag.runnable;
    this.#setups.delete(id);
    this.#pool.dropTag(id);
    this.#audit.forget(id);
    if (hasRoomAgain) this.#discovery?.lookAgain();
    // Of a tag that is done elsewhere there is nothing to say.
    if (tag.averageMs !== undefined) this.#log.info(`nothing left to run of ${name}`);
  }

  /** Stops pulling, gives running calls a moment to end, hands the rest back, and leaves. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#discovery?.close();
    this.#feeder.stop();
    this.#registry.stop();
    clearInterval(this.#expiry);
    this.#leave.stop();
    await this.#runner.stop(STOP_GRACE_MS);
    await this.#pool.stop("the worker stops");
    await this.#runner.settled();
    this.#runner.close();
    await this.#leases.close();
    this.#puller.close();
    await this.#audit.close();
    const { nc } = this.#session;
    // A drain never ends where the connection is lost for good meanwhile.
    if (!nc.isClosed()) await Promise.race([nc.drain().catch(() => nc.close()), nc.closed()]);
    this.#bounded[Symbol.dispose]();
    if (this.#lost === undefined) this.#resolveFinished();
    else this.#rejectFinished(this.#lost);
  }
}

function packagesCache(instance: Instance): string {
  return join(instance.folder, "packages");
}
