/** `$HUMQ_HOME`: which instances this person knows, and where each keeps its keys. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { isName } from "../broker/names.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { type Identity, identityFromSeed, newSeed, type Root } from "../trust/identity.ts";
import {
  createSecret,
  formatSeed,
  makePrivateFolder,
  readIfPresent,
  readSecret,
  readSeed,
  writePrivate,
  writeSecret,
} from "./files.ts";
import { formatLink, type JoinLink, parseLink } from "./link.ts";
import { readRoot } from "./root-key.ts";

/** `$HUMQ_HOME`, default `~/.config/humq`. */
export function homeFolder(): string {
  const set = process.env.HUMQ_HOME;
  return set === undefined || set === "" ? join(homedir(), ".config", "humq") : resolve(set);
}

function instancesFolder(): string {
  return join(homeFolder(), "instances");
}

/** One instance as known on this machine. */
export class Instance {
  readonly name: string;
  readonly folder: string;

  constructor(name: string) {
    if (!isName(name)) {
      throw new UsageError(
        `an instance's name has letters, digits, - and _ (at most 63, no - or _ in front), got ${JSON.stringify(name)}`,
      );
    }
    this.name = name;
    this.folder = join(instancesFolder(), name);
  }

  get exists(): boolean {
    return existsSync(this.#linkPath);
  }

  get #linkPath(): string {
    return join(this.folder, "link");
  }

  /** @throws InstanceError where this machine has not joined the instance */
  get link(): JoinLink {
    const content = readSecret(this.#linkPath);
    if (content === undefined) {
      throw new InstanceError(
        `there is no instance "${this.name}" here. Join it: humq request LINK --instance ${this.name}`,
      );
    }
    return parseLink(content.toString("utf8"));
  }

  saveLink(link: JoinLink): void {
    writeSecret(this.#linkPath, `${formatLink(link)}\n`);
  }

  /** The file of the person's seed, or of a datacenter's. */
  #seedPath(datacenter?: string): string {
    return datacenter === undefined
      ? join(this.folder, "identity.seed")
      : join(this.folder, "datacenters", `${datacenter}.seed`);
  }

  /** The person's identity, or that of a datacenter whose seed is here; undefined where there is none. */
  identity(datacenter?: string): Identity | undefined {
    const seed = readSeed(this.#seedPath(datacenter));
    return seed === undefined ? undefined : identityFromSeed(seed);
  }

  /** The identity, made now where there is none. */
  ensureIdentity(datacenter?: string): Identity {
    const known = this.identity(datacenter);
    if (known !== undefined) return known;
    // Another process may be at it as well: there is one identity, whoever made it.
    createSecret(this.#seedPath(datacenter), formatSeed(newSeed()));
    return this.ensureIdentity(datacenter);
  }

  /** The keys of the person and of datacenters, for another instance with the same people in it. */
  copyKeysTo(other: Instance): void {
    const datacenters = this.datacenters();
    // A key that is to take a datacenter's place may be the one that is granted anew.
    for (const key of [undefined, ...datacenters, ...datacenters.map((name) => `${name}.next`)]) {
      const seed = readSeed(this.#seedPath(key));
      if (seed !== undefined) createSecret(other.#seedPath(key), formatSeed(seed));
    }
  }

  /** Datacenters whose seeds are here. */
  datacenters(): string[] {
    const folder = join(this.folder, "datacenters");
    if (!existsSync(folder)) return [];
    return (
      readdirSync(folder)
        .filter((file) => file.endsWith(".seed"))
        .map((file) => file.slice(0, -".seed".length))
        // Not those that were in use, or are to be: see core/instance/datacenter-keys.ts.
        .filter(isName)
        .sort()
    );
  }

  /**
   * The root key, on the owner's machine; undefined elsewhere. One that a passphrase protects is unlocked once in a process.
   * @throws PassphraseError where the passphrase is wrong, or there is nobody to ask for it
   */
  root(): Root | undefined {
    return readRoot(this.rootPath);
  }

  /** Whether the root key is here. */
  get hasRoot(): boolean {
    return existsSync(this.rootPath);
  }

  get rootPath(): string {
    return join(this.folder, "root.seed");
  }

  /** The signed grant fetched last, by the nkey it is for. */
  cachedGrant(user: string): Buffer | undefined {
    return readSecret(this.#grantPath(user));
  }

  cacheGrant(user: string, signed: Uint8Array): void {
    writeSecret(this.#grantPath(user), signed);
  }

  /** The newest signed directory of datacenters that was seen here; see core/instance/newest.ts. */
  savedDirectory(): Buffer | undefined {
    return readIfPresent(this.#directoryPath);
  }

  saveDirectory(signed: Uint8Array): void {
    writePrivate(this.#directoryPath, signed);
  }

  get #directoryPath(): string {
    return join(this.folder, "directory");
  }

  /** The signed revocation list that was seen last here; see core/instance/revocations.ts. */
  savedRevocations(): Buffer | undefined {
    return readIfPresent(this.#revocationsPath);
  }

  saveRevocations(signed: Uint8Array): void {
    writePrivate(this.#revocationsPath, signed);
  }

  get #revocationsPath(): string {
    return join(this.folder, "revocations");
  }

  #grantPath(user: string): string {
    return join(this.folder, "grants", user);
  }

  /** Where an owner's server configuration and data lie. */
  get serverFolder(): string {
    return join(this.folder, "server");
  }

  makeFolder(): void {
    makePrivateFolder(this.folder);
  }
}

/** Names of all instances known here. */
export function listInstances(): string[] {
  const folder = instancesFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, "link")))
    .sort();
}

function defaultPath(): string {
  return join(homeFolder(), "default");
}

export function defaultInstance(): string | undefined {
  return readIfPresent(defaultPath())?.toString("utf8").trim();
}

/** Makes `name` the default where there is none yet. */
export function adoptDefault(name: string): void {
  const current = defaultInstance();
  if (current === undefined || !new Instance(current).exists) writePrivate(defaultPath(), `${name}\n`);
}

/**
 * The instance to use: the one named, else `HUMQ_INSTANCE`, else the default, else the only one.
 * @throws InstanceError where none is named and there is none, or it is not known here
 */
export function findInstance(name?: string): Instance {
  const named = name ?? (process.env.HUMQ_INSTANCE || undefined);
  const known = listInstances();
  const chosen = named ?? defaultInstance() ?? (known.length === 1 ? known[0] : undefined);
  if (chosen === undefined) {
    throw new InstanceError(
      known.length === 0
        ? `no instance is known in ${homeFolder()}. Start one here (humq up) or join one (humq request LINK).`
        : `several instances are known (${known.join(", ")}): name one with --instance or HUMQ_INSTANCE.`,
    );
  }
  const instance = new Instance(chosen);
  if (!instance.exists) {
    throw new InstanceError(
      `there is no instance "${chosen}"${name === undefined && named !== undefined ? " (named by HUMQ_INSTANCE)" : ""} in ` +
        `${homeFolder()}${known.length > 0 ? ` (known: ${known.join(", ")})` : ""}. ` +
        "Start one here (humq up) or join one (humq request LINK).",
    );
  }
  return instance;
}
