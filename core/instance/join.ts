/** Asking to be let in. */
import { join } from "node:path";
import { isName } from "../broker/names.ts";
import { isTls } from "../broker/tls.ts";
import { InstanceError, UsageError } from "../errors.ts";
import { formatRequest } from "../trust/request.ts";
import { ensureNextKey } from "./datacenter-keys.ts";
import { adoptDefault, Instance } from "./home.ts";
import { parseLink } from "./link.ts";
import { replaceInstance } from "./replace.ts";

export interface RequestOptions {
  /** What to call the instance here; default: the name in the link. */
  instance?: string;
  /** Make the key of a datacenter (for workers on this machine) instead of a person's. */
  datacenter?: string;
  /** Make a new key for the datacenter, whose workers take it into use once it is granted. Default false. */
  rotate?: boolean;
}

/**
 * Makes the identity for the instance behind `link` where there is none yet, and says what to send to its owner.
 * Nothing is sent; asking again gives the same request.
 * @returns `ADD-USER_<signing key>_<encryption key>_<login key>`
 * @throws UsageError where the link is malformed; InstanceError where the name stands for another instance here
 */
export function requestAccess(link: string, options: RequestOptions = {}): string {
  const parsed = parseLink(link);
  const instance = new Instance(options.instance ?? parsed.name);
  const { datacenter, rotate = false } = options;
  if (rotate && datacenter === undefined) {
    throw new UsageError("--rotate makes a new key for a datacenter: name it with --datacenter");
  }
  if (datacenter !== undefined && !isName(datacenter)) {
    throw new UsageError(`a datacenter's name has letters, digits, - and _, got ${JSON.stringify(datacenter)}`);
  }
  if (instance.exists && Buffer.compare(instance.link.rootKey, parsed.rootKey) !== 0) {
    throw new InstanceError(
      `"${instance.name}" already stands for another instance here (its root key differs). Choose another name: humq request LINK --instance NAME. ` +
        "Where its owner told you that the root key was replaced, keep your keys and go over to the new one: humq request LINK --new-root",
    );
  }
  if (instance.exists && instance.link.servers.every(isTls) && !parsed.servers.every(isTls)) {
    throw new InstanceError(
      `the join link of "${instance.name}" that is here asks for TLS, and this one does not: whoever gave it to you could listen in. ` +
        `Ask the owner. Where they did turn TLS off, remove ${join(instance.folder, "link")} first.`,
    );
  }
  const identity =
    rotate && datacenter !== undefined ? ensureNextKey(instance, datacenter) : instance.ensureIdentity(datacenter);
  instance.saveLink(parsed);
  adoptDefault(instance.name);
  return formatRequest(identity);
}

export interface Joined {
  /** Of the person: the owner has granted it anew where they did not leave it out. Absent where only datacenters have keys here. */
  request?: string;
  /** What was before, under another name. */
  old: Instance;
}

/**
 * Goes over to the new root key of an instance, with the keys that are here. What was before stays under another name: as
 * long as its server runs, tags that are there can be reached with it.
 * @param link of the new root key; it comes from the owner, by a way that you trust
 * @throws InstanceError where the instance is not known here, or the link is of the root key that it has
 */
export async function joinNewRoot(link: string, options: { instance?: string } = {}): Promise<Joined> {
  const parsed = parseLink(link);
  const instance = new Instance(options.instance ?? parsed.name);
  if (Buffer.compare(instance.link.rootKey, parsed.rootKey) === 0) {
    throw new InstanceError(`"${instance.name}" has this root key already: there is nothing to change here.`);
  }
  const old = await replaceInstance(instance, (next) => next.saveLink(parsed));
  const identity = instance.identity();
  return { ...(identity !== undefined && { request: formatRequest(identity) }), old };
}
