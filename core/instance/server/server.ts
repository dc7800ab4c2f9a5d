import { resolve } from "node:path";
import { BrokerError } from "../../errors.ts";
import { explainFailedStart, PortLostError, tooOld } from "./failure.ts";
import { readServerInfo, type ServerInfo } from "./info.ts";
import { type Exit, endProcess, type Launched, launch, waitUntilListening } from "./launch.ts";
import { checkPort, findFreePort } from "./port.ts";
import { portsDirectory, removeState, saveState } from "./state.ts";
import { claimStore, makeStore } from "./store.ts";
import { isNewEnough } from "./version.ts";

export interface NatsServerOptions {
  /** The nats-server program, as `findNatsServer` found it. */
  binary: string;
  /** Its nats.conf. Relative paths in there count from the file's directory. */
  configPath: string;
  /** The JetStream directory that stands in the configuration; locked while the server runs. */
  storeDir: string;
  logPath: string;
  /** Default `127.0.0.1`. Overrides the configuration's. */
  host?: string;
  /** 0: a free one. Overrides the configuration's. */
  port: number;
  /** How long a large store may take to open, in milliseconds. Default 120,000. */
  startTimeoutMs?: number;
}

const START_TIMEOUT_MS = 120_000;
const INFO_TIMEOUT_MS = 10_000;
const PORT_TRIES = 5;

/** What a start came to. */
interface Started {
  launched: Launched;
  host: string;
  port: number;
  info: ServerInfo;
}

/** A nats-server that this process started; it ends with this process at the latest. */
export class NatsServer {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly info: ServerInfo;
  /** Settles when the process has ended, for whatever reason, and its store is free again. */
  readonly exited: Promise<Exit>;
  readonly #launched: Launched;

  private constructor(started: Started, exited: Promise<Exit>) {
    this.#launched = started.launched;
    this.host = started.host;
    this.port = started.port;
    this.pid = started.launched.pid;
    this.info = started.info;
    this.exited = exited;
  }

  /** `nats://HOST:PORT`, with the address it listens on. */
  get url(): string {
    return serverUrl(this.host, this.port);
  }

  /**
   * Start a server and wait until it takes connections.
   * @throws AlreadyRunningError where a server runs on this store.
   * @throws InstanceError for a port that is taken, a store that cannot be written, a server that is too old.
   * @throws BrokerError for anything else, with the server's last lines.
   */
  static async start(options: NatsServerOptions): Promise<NatsServer> {
    const storeDir = makeStore(options.storeDir);
    const lock = await claimStore(storeDir);
    try {
      const started = await startOnSomePort(options, storeDir);
      const exited = started.launched.exited.finally(() => {
        removeState(storeDir);
        lock.release();
      });
      return new NatsServer(started, exited);
    } catch (error) {
      removeState(storeDir);
      lock.release();
      throw error;
    }
  }

  /** Stop in order (SIGTERM), by force after 20 s. Returns when the process has ended; so do further calls. */
  async stop(): Promise<void> {
    await endProcess(this.#launched);
    await this.exited;
  }
}

async function startOnSomePort(options: NatsServerOptions, storeDir: string): Promise<Started> {
  const host = options.host ?? "127.0.0.1";
  for (let tries = 1; ; tries++) {
    const port = options.port === 0 ? await findFreePort(host) : options.port;
    try {
      await checkPort(host, port);
      return await startOnPort(options, storeDir, host, port);
    } catch (error) {
      if (options.port !== 0 || !(error instanceof PortLostError) || tries === PORT_TRIES) throw error;
    }
  }
}

async function startOnPort(options: NatsServerOptions, storeDir: string, host: string, port: number): Promise<Started> {
  const [binary, configPath, logPath] = [
    resolve(options.binary),
    resolve(options.configPath),
    resolve(options.logPath),
  ];
  const launchOptions = { binary, configPath, logPath, host, port, portsDir: portsDirectory(storeDir) };
  const launched = await launch(launchOptions);
  // At once: whoever finds the store unlocked after we were killed must know of a server that is still going down.
  saveState(storeDir, { pid: launched.pid, host, port, url: serverUrl(host, port) });
  try {
    if (!(await waitUntilListening(launched, launchOptions.portsDir, options.startTimeoutMs ?? START_TIMEOUT_MS))) {
      throw await explainFailedStart({ ...launchOptions, storeDir, log: launched.log() });
    }
    const info = await readServerInfo(loopbackOf(host), port, INFO_TIMEOUT_MS);
    if (!isNewEnough(info.version)) throw tooOld(binary, info.version);
    if (!info.jetstream) throw new BrokerError(`nats-server runs without JetStream; ${logPath} says why`);
    return { launched, host, port, info };
  } catch (error) {
    await endProcess(launched);
    throw error;
  }
}

/** Where a server that listens on every address can be reached from here. */
function loopbackOf(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function serverUrl(host: string, port: number): string {
  return `nats://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
