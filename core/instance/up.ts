/** An instance on this machine: broker, keys and worker started together, stopped together. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Worker, WorkerOptions } from "../../worker/index.ts";
import type { Log } from "../../worker/log.ts";
import { BrokerError, InstanceError, UsageError } from "../errors.ts";
import { writePrivate } from "./files.ts";
import { Instance } from "./home.ts";
import { initialisedFolder } from "./init.ts";
import { formatLink } from "./link.ts";
import { makeInstance } from "./make.ts";
import { checkFolder } from "./private.ts";
import { keepRenewing } from "./renewal.ts";
import { RENEW_AFTER_MS } from "./revocations.ts";
import { findFreePort, findNatsServer, NatsServer, writeServerConfig } from "./server/index.ts";
import { checkPort } from "./server/port.ts";
import { operatorConfig, prepareBroker } from "./setup.ts";

export const DEFAULT_INSTANCE = "local";
export const DEFAULT_DATACENTER = "local";
/** An embedded broker is for this machine. */
const HOST = "127.0.0.1";

/** Options of the worker that it takes as they are. */
type ForWorker = Pick<
  WorkerOptions,
  "unsafe" | "requireSandbox" | "network" | "maxProcesses" | "maxDisk" | "maxOutput" | "maxOpenFiles"
>;

export interface EmbeddedOptions extends ForWorker {
  /** Name of the instance, made where there is none. Default `local`. */
  instance?: string;
  /** Port of the broker on loopback. Default: the one it had, else a free one. */
  port?: number;
  /** Whether to start a worker. Default true. */
  worker?: boolean;
  /** Calls that the worker runs at once. Default: the machine's cores. */
  slots?: number;
  /** The datacenter that the worker belongs to. Default `local`. */
  datacenter?: string;
  /** Protects the root key of an instance that is made now. Default: none. */
  passphrase?: string;
  /** Hears one sentence per step that may take a while. */
  onProgress?: (message: string) => void;
  /** What the worker says. Default: nothing. */
  log?: Log;
  /** Ends a start that is under way; `startEmbedded` throws its reason then, and nothing new is left. */
  signal?: AbortSignal;
}

/** A running instance. It ends with this process at the latest. */
export interface Embedded {
  readonly instance: Instance;
  /** What others on this machine join with. */
  readonly link: string;
  readonly server: NatsServer;
  /** Version and path of the nats-server program. */
  readonly binary: { path: string; version: string };
  /** Absent with `worker: false`. */
  readonly worker: Worker | undefined;
  /** Whether this start made the instance. */
  readonly isNew: boolean;
  /** Rejects when broker or worker ends by itself; resolves after `stop`. */
  readonly finished: Promise<void>;
  /** Worker first, so that it hands back what it has, then the broker. Further calls wait for the first. */
  stop(): Promise<void>;
}

function paths(instance: Instance) {
  const folder = instance.serverFolder;
  return {
    configPath: join(folder, "nats.conf"),
    storeDir: join(folder, "store"),
    logPath: join(folder, "server.log"),
  };
}

/** The instance and the port to start it on. */
interface Place {
  instance: Instance;
  port: number;
  /** Of an instance that this start made: takes it back. */
  undo?: () => void;
}

/** The port it had, so that links stay good; another one where somebody has taken it. */
async function usualPort(instance: Instance): Promise<number> {
  const port = Number(new URL(instance.link.servers[0]!).port);
  return checkPort(HOST, port).then(
    () => port,
    () => findFreePort(HOST),
  );
}

async function findPlace(name: string, wanted: number | undefined, passphrase?: string): Promise<Place> {
  const instance = new Instance(name);
  if (!instance.exists) {
    const port = wanted ?? (await findFreePort(HOST));
    await checkPort(HOST, port);
    return { ...(await makeInstance(name, [url(port)], passphrase)), port };
  }
  if (passphrase !== undefined) {
    throw new UsageError(
      `--passphrase is for a new instance, and there is a "${name}" here. To set one: humq passphrase`,
    );
  }
  if (!instance.hasRoot) {
    throw new InstanceError(
      `"${name}" is an instance you joined, not one of yours: its root key is not here. Start one of your own: humq up --instance NAME`,
    );
  }
  const elsewhere = initialisedFolder(instance);
  if (elsewhere !== undefined) {
    throw new InstanceError(
      `"${name}" was made by humq init for a server of its own: start that one, with the configuration written to ` +
        `${elsewhere}. For a broker here: humq up --instance NAME`,
    );
  }
  return { instance, port: wanted ?? (await usualPort(instance)) };
}

function url(port: number): string {
  return `nats://${HOST}:${port}`;
}

async function writeConfig(instance: Instance, port: number): Promise<void> {
  const { configPath } = paths(instance);
  checkFolder(instance.serverFolder);
  if (existsSync(configPath)) return;
  const config = await operatorConfig(instance.root()!, instance.name);
  // Relative, so that the folder can be moved.
  const places = { storeDir: "store", jwtDir: "accounts" };
  writePrivate(
    configPath,
    writeServerConfig({ host: HOST, port, serverName: `humq-${instance.name}`, ...places, ...config }),
  );
}

/** The link says where the broker is reached; its port changes where another program took the old one. */
function updateLink(instance: Instance, server: NatsServer): void {
  const { link } = instance;
  if (link.servers.length !== 1 || link.servers[0] !== server.url)
    instance.saveLink({ ...link, servers: [server.url] });
}

async function startWorker(instance: Instance, options: EmbeddedOptions): Promise<Worker> {
  // A broker without a worker, and whatever else of core is in use, does not load one.
  const { Worker } = await import("../../worker/index.ts");
  const { port: _1, worker: _2, passphrase: _3, onProgress: _4, signal: _5, ...forWorker } = options;
  return Worker.start({
    ...forWorker,
    instance: instance.name,
    datacenter: options.datacenter ?? DEFAULT_DATACENTER,
  });
}

function checkOptions({ port, slots }: EmbeddedOptions): void {
  if (port !== undefined && (!Number.isInteger(port) || port < 0 || port > 65_535)) {
    throw new UsageError(`port: expected a whole number from 1 to 65535, or 0 for a free one, got ${port}`);
  }
  if (slots !== undefined && (!Number.isInteger(slots) || slots < 1)) {
    throw new UsageError(`slots: expected a whole number above 0, got ${slots}`);
  }
}

/** What ends by itself while nobody asked it to. */
function watch(server: NatsServer, worker: Worker | undefined, isStopping: () => boolean): Promise<void> {
  const unexpected = (what: string) => () => {
    if (!isStopping()) throw new BrokerError(`the ${what} ended unexpectedly. Its log may say why.`);
  };
  const ends = [server.exited.then(unexpected("broker"))];
  if (worker !== undefined) ends.push(worker.finished.then(unexpected("worker")));
  return Promise.race(ends);
}

/**
 * Starts an instance on this machine, made now where there is none: root key, broker on loopback, the owner's own
 * grant, a worker. Where a start that made the instance fails, nothing of it is left.
 * @throws UsageError for options out of bounds; InstanceError where the port is taken, the store cannot be written,
 *   no good nats-server is to be had, or it runs already
 */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<Embedded> {
  checkOptions(options);
  const { signal } = options;
  const progress = options.onProgress ?? (() => undefined);
  const binary = await findNatsServer({ onProgress: progress });
  signal?.throwIfAborted();
  const wanted = options.port === 0 ? undefined : options.port;
  const place = await findPlace(options.instance ?? DEFAULT_INSTANCE, wanted, options.passphrase);
  const { instance, port, undo } = place;
  const isNew = undo !== undefined;
  let server: NatsServer | undefined;
  try {
    progress(isNew ? `Making the instance "${instance.name}"` : `Starting the instance "${instance.name}"`);
    await writeConfig(instance, port);
    server = await NatsServer.start({ binary: binary.path, ...paths(instance), host: HOST, port });
    signal?.throwIfAborted();
    updateLink(instance, server);
    await prepareBroker(instance, options.datacenter ?? DEFAULT_DATACENTER);
    signal?.throwIfAborted();
    const worker = options.worker === false ? undefined : await startWorker(instance, options);
    return embedded({ instance, server, binary, worker, isNew }, keepFresh(instance, options.log));
  } catch (error) {
    await server?.stop();
    undo?.();
    throw error;
  }
}

/** Renews the revocation list every hour; it was made when the broker started. @returns what ends that */
function keepFresh(instance: Instance, log: Log | undefined): AbortController {
  const end = new AbortController();
  const failed = ({ message }: Error) => log?.warn(`the revocation list could not be renewed: ${message}`);
  keepRenewing(instance, RENEW_AFTER_MS, end.signal, { firstAfterMs: RENEW_AFTER_MS, onTrouble: failed }).catch(failed);
  return end;
}

function embedded(
  parts: Pick<Embedded, "instance" | "server" | "binary" | "worker" | "isNew">,
  renewing: AbortController,
): Embedded {
  const { instance, server, worker } = parts;
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    renewing.abort();
    await worker?.stop();
    await server.stop();
  };
  const finished = watch(server, worker, () => stopping !== undefined);
  // Whoever does not ask need not be ended by it.
  finished.catch(() => undefined);
  return {
    ...parts,
    link: formatLink(instance.link),
    finished,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
