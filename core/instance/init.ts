/** An instance on a server of its own: keys here, the configuration into a folder that goes there. */
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join, resolve } from "node:path";
import { isName } from "../broker/names.ts";
import { HumqError, InstanceError, UsageError } from "../errors.ts";
import { makePrivateFolder, readIfPresent, writePrivate } from "./files.ts";
import type { Instance } from "./home.ts";
import { formatLink } from "./link.ts";
import { isLoopback } from "./loopback.ts";
import { makeInstance } from "./make.ts";
import { writeServerConfig } from "./server/index.ts";
import { operatorConfig, prepareBroker } from "./setup.ts";
import { hostsOf, installCertificate, TLS_FILES, withTls } from "./tls/folder.ts";
import type { GivenFiles } from "./tls/given.ts";

export const DEFAULT_SERVER_FOLDER = "humq-server";
export const DEFAULT_PORT = 4222;
/** Of the instance and of its first datacenter. */
export const DEFAULT_INIT_NAME = "main";

export interface InitOptions {
  /** Name of the instance. Default `main`. */
  instance?: string;
  /** Name or address under which people and workers reach the server. */
  host: string;
  /** Its port. Default 4222. */
  port?: number;
  /** Folder to write the server's configuration into; made where there is none. Default `humq-server`. */
  folder?: string;
  /** The first datacenter, whose key is made on this machine. Default `main`. */
  datacenter?: string;
  /** Protects the root key. Default: none. */
  passphrase?: string;
  /** Default: own, and none where `host` is this machine's loopback. */
  tls?: ServerTls;
}

/** `own`: TLS with a certificate of the instance's own authority; `none`: no TLS; or the certificate to use. */
export type ServerTls = "own" | "none" | GivenFiles;

export interface Initialised {
  instance: Instance;
  /** What people join with, once the server runs. */
  link: string;
  /** Absolute path of the nats.conf. */
  configPath: string;
  datacenter: string;
}

/** A host as it stands in an address: IPv6 in brackets. */
function addressOf(host: string, port: number, scheme: "nats" | "tls"): string {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const address = `${scheme}://${isIPv6(bare) ? `[${bare}]` : bare}:${port}`;
  const usable = /^[A-Za-z0-9.:-]+$/.test(bare) && URL.canParse(address);
  if (usable) return address;
  throw new UsageError(`host: expected a name or an address such as nats.example.org, got ${JSON.stringify(host)}`);
}

/** Remembers where the server's configuration was written; also says that it is none of `humq up`. */
function folderPath(instance: Instance): string {
  return join(instance.folder, "server-folder");
}

/** The folder that {@link initInstance} wrote; undefined for an instance that was made otherwise. */
export function initialisedFolder(instance: Instance): string | undefined {
  return readIfPresent(folderPath(instance))?.toString("utf8").trimEnd();
}

/** Says that the server has yet to be told of the hub, the owner and the first datacenter; holds that one's name. */
function pendingPath(instance: Instance): string {
  return join(instance.folder, "unfinished");
}

/** Whether {@link finishInit} has yet to run. */
export function isUnfinished(instance: Instance): boolean {
  return existsSync(pendingPath(instance));
}

/** The folder is new or empty of ours; undoing leaves it as it was. */
function writeServerFolder(folder: string, config: string, fill: () => void): void {
  const isNew = !existsSync(folder);
  const configPath = join(folder, "nats.conf");
  try {
    makePrivateFolder(folder);
    // The server makes its folders itself, but in a container perhaps as somebody else.
    for (const part of ["accounts", "store"]) makePrivateFolder(join(folder, part));
    writeFileSync(configPath, config, { mode: 0o600, flag: "wx" });
    chmodSync(configPath, 0o600);
    fill();
  } catch (cause) {
    if (isNew) rmSync(folder, { recursive: true, force: true });
    if (cause instanceof HumqError) throw cause;
    throw new InstanceError(`cannot write ${configPath}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Writes the configuration of an instance's server, which is not started. Once it runs, {@link finishInit} completes it.
 * @param options name of the instance, new folder for the configuration, first datacenter
 * @throws InstanceError where it cannot be written, UsageError for a certificate that is not good. The folder is as before then.
 */
export async function writeServerOf(
  instance: Instance,
  options: { name: string; folder: string; port: number; datacenter: string; tls: ServerTls },
): Promise<void> {
  const { name, folder, port, datacenter, tls } = options;
  const root = instance.root()!;
  const config = await operatorConfig(root, name);
  const places = { storeDir: "store", jwtDir: "accounts" };
  // Every address of the machine: which of them is to be reached is up to whoever runs it.
  const server = { host: "0.0.0.0", port, serverName: `humq-${name}`, ...places, ...config };
  const text = writeServerConfig(tls === "none" ? server : { ...server, tls: TLS_FILES });
  writePrivate(pendingPath(instance), `${datacenter}\n`);
  writePrivate(folderPath(instance), `${folder}\n`);
  writeServerFolder(folder, text, () => {
    if (tls === "none") return;
    const source = tls === "own" ? { own: root } : { given: tls };
    const { authorities } = installCertificate(folder, source, hostsOf(instance.link));
    instance.saveLink(withTls(instance.link, authorities));
  });
}

/**
 * Makes the keys of a new instance under `$HUMQ_HOME` and writes the configuration of its server, which is not started.
 * Once it runs, {@link finishInit} completes it.
 * @throws UsageError for a host, port or name that cannot be right; InstanceError where the instance or the
 *   configuration exists already. Nothing is left then.
 */
export async function initInstance(options: InitOptions): Promise<Initialised> {
  const { instance: name = DEFAULT_INIT_NAME, port = DEFAULT_PORT, datacenter = DEFAULT_INIT_NAME } = options;
  const folder = resolve(options.folder ?? DEFAULT_SERVER_FOLDER);
  const configPath = join(folder, "nats.conf");
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`port: expected a whole number from 1 to 65535, got ${port}`);
  }
  if (!isName(datacenter)) {
    throw new UsageError(`a datacenter's name has letters, digits, - and _, got ${JSON.stringify(datacenter)}`);
  }
  const { tls = isLoopback(options.host) ? "none" : "own" } = options;
  const address = addressOf(options.host, port, tls === "none" ? "nats" : "tls");
  if (existsSync(configPath)) {
    throw new InstanceError(`${configPath} is there already, and is not overwritten. Name another folder with --dir.`);
  }
  const { instance, undo } = await makeInstance(name, [address], options.passphrase);
  try {
    await writeServerOf(instance, { name, folder, port, datacenter, tls });
  } catch (error) {
    undo();
    throw error;
  }
  return { instance, link: formatLink(instance.link), configPath, datacenter };
}

/**
 * Brings the server that was started with the configuration of {@link initInstance} to what the instance needs: hub,
 * guest, the owner's own grant, the first datacenter. Repeating it does no harm.
 * @returns the first datacenter's name; undefined where nothing was left to do
 * @throws BrokerError where the server cannot be reached
 */
export async function finishInit(instance: Instance): Promise<string | undefined> {
  const datacenter = readIfPresent(pendingPath(instance))?.toString("utf8").trim();
  if (datacenter === undefined) return undefined;
  await prepareBroker(instance, datacenter);
  rmSync(pendingPath(instance), { force: true });
  return datacenter;
}
