/** What this machine has: Node, nats-server, isolation, files that only their owner may read. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { detectIsolation } from "../../../worker/isolation/isolation.ts";
import { homeFolder } from "../home.ts";
import { fileFault, folderFault } from "../private.ts";
import { findNatsServer, MINIMUM_SERVER_VERSION } from "../server/index.ts";
import { type Check, fail, ok, warn } from "./check.ts";

const MINIMUM_NODE = [22, 18] as const;

export function checkNode(): Check {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const [leastMajor, leastMinor] = MINIMUM_NODE;
  const good = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  return good
    ? ok("node", `${node} (${process.execPath})`)
    : fail("node", `${node} is too old`, `Install Node.js ${MINIMUM_NODE.join(".")} or newer: https://nodejs.org`);
}

/** Only looks; nothing is fetched. */
export async function checkServer(): Promise<Check> {
  try {
    const { version, path, source } = await findNatsServer({ ways: [] });
    return ok("nats-server", `${version} (${path}, ${source === "env" ? "HUMQ_NATS_SERVER" : source})`);
  } catch (error) {
    if (process.env.HUMQ_NATS_SERVER) {
      return fail("nats-server", (error as Error).message, "Correct or unset HUMQ_NATS_SERVER.");
    }
    return warn(
      "nats-server",
      `none of ${MINIMUM_SERVER_VERSION} or newer here`,
      "Needed for humq up only, which fetches one by itself.",
    );
  }
}

export async function checkIsolation(): Promise<Check> {
  const { isolation, reason } = await detectIsolation();
  if (isolation === "bubblewrap")
    return ok("isolation", "bubblewrap: user code sees no file and no process of the worker");
  return warn(
    "isolation",
    `none (${reason}): a worker here runs only its owner's calls; with --unsafe code of every user can read and change all ` +
      "that this account can, the worker's keys too",
    "Install bubblewrap (apt install bubblewrap, dnf install bubblewrap) and allow unprivileged user namespaces.",
  );
}

/** All files and folders below a folder. Sockets, links and what the broker and npm keep are nobody's secrets. */
function* belowFolder(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      yield path;
      if (entry.name !== "server" && entry.name !== "packages") yield* belowFolder(path);
    } else if (entry.isFile() && path !== join(folder, "default")) yield path;
  }
}

export function checkHome(): Check {
  const home = homeFolder();
  if (!existsSync(home)) return ok("home", `${home} is not there yet; it is made when needed`);
  if (process.platform === "win32") return ok("home", home);
  const faults = [home, ...belowFolder(home)].flatMap(
    (path) => (statSync(path).isDirectory() ? folderFault(path) : fileFault(path)) ?? [],
  );
  const [first] = faults;
  if (first === undefined) return ok("home", `${home}: its secrets are readable by you alone`);
  const more = faults.length === 1 ? "" : ` (and ${faults.length - 1} more)`;
  return fail("home", `${first}${more}`);
}
