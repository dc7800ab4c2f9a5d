/** Which workers there are, by the entries that they renew in the hub. */
import { jetstreamManager } from "@nats-io/jetstream";
import { serverTimeMs } from "../broker/clock.ts";
import { HUB_STREAMS, IMPORTED_API, shortUser, streamOf, subjectOf } from "../broker/names.ts";
import { type Stored, StreamReader } from "../broker/read.ts";
import type { Session } from "../instance/session.ts";

/** What a worker says of itself; readable by the broker's operator and by all users of the instance. */
export interface WorkerEntry {
  worker: string;
  datacenter: string;
  host: string;
  /** Calls that it can run at the same time. */
  slots: number;
  /** Slots that calls occupy. */
  busy: number;
  /** Memory that running calls may ask for together, in bytes, */
  memoryBytes: number;
  /** and what those that run do ask for. */
  reservedBytes: number;
  /** When it leaves because its time is over, by its own clock, in milliseconds since 1970; null: no such time. */
  leavesMs: number | null;
  /** Tags whose calls it has in hand, of all users. */
  tags: number;
  /** `bubblewrap`, or `none`: then it runs its own owner's calls only, unless `unsafe`. */
  isolation: string;
  unsafe: boolean;
  /** Why it takes no new work from anybody, as a sentence without its period; null: it does. */
  holds: string | null;
  /** What user code sees of the network there: `host`, or `none` but a loopback of its own. */
  network: string;
  version: string;
  /** What it speaks, see core/version.ts. */
  protocol: number;
  /** When it began, by its own clock, in milliseconds since 1970. */
  startedMs: number;
  /**
   * When the server last heard from it, in milliseconds since 1970. Measured by the server's clock and told by this
   * machine's, so that `Date.now() - heardMs` holds wherever the clocks differ. Workers speak every five seconds.
   */
  heardMs: number;
}

/** Of a worker's reason for not taking work, as much is shown. */
const HOLDS_CHARACTERS = 400;

/** Every worker writes its own entry, so each field may hold anything. */
function parseEntry(subject: string, text: string, heardMs: number): WorkerEntry | undefined {
  let said: Record<string, unknown>;
  try {
    said = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const string = (name: string) => (typeof said[name] === "string" ? said[name] : "unknown");
  const count = (name: string) => (Number.isSafeInteger(said[name]) ? Math.max(0, said[name] as number) : 0);
  // The broker lets a datacenter write under its own name only; what the entry itself says proves nothing.
  const [, , datacenter = "", worker = ""] = subject.split(".");
  return {
    worker,
    datacenter,
    host: string("host"),
    slots: count("slots"),
    busy: count("busy"),
    memoryBytes: count("memoryBytes"),
    reservedBytes: count("reservedBytes"),
    leavesMs: count("leavesMs") || null,
    tags: count("tags"),
    isolation: string("isolation"),
    unsafe: said.unsafe === true,
    holds: typeof said.holds === "string" ? said.holds.slice(0, HOLDS_CHARACTERS) : null,
    // Before it was said it was the machine's.
    network: said.network === "none" ? "none" : "host",
    version: string("version"),
    // Before there was a number it was 1.
    protocol: Math.max(1, count("protocol")),
    startedMs: count("startedMs"),
    heardMs,
  };
}

/** All workers of the instance, by datacenter and name. One that vanished is listed for up to a minute more, see `heardMs`. */
export async function listWorkers(session: Session): Promise<WorkerEntry[]> {
  const reader = await StreamReader.open(session.nc, IMPORTED_API);
  const found: Stored[] = [];
  for await (const stored of reader.all(HUB_STREAMS.workers, subjectOf.worker("*", "*"))) {
    // Empty: it has left.
    if (stored.data.length > 0) found.push(stored);
  }
  if (found.length === 0) return [];
  const manager = await jetstreamManager(session.nc, { checkAPI: false });
  // The workers' own stream is not a user's to ask about; the clock is the same.
  const serverMs = await serverTimeMs(manager, streamOf.tags(shortUser(session.identity.user)));
  const nowMs = Date.now();
  const workers: WorkerEntry[] = [];
  for (const stored of found) {
    const silentMs = Math.max(0, (serverMs ?? nowMs) - stored.timeMs);
    const entry = parseEntry(stored.subject, stored.string(), Math.round(nowMs - silentMs));
    if (entry !== undefined) workers.push(entry);
  }
  const keyOf = ({ datacenter, worker }: WorkerEntry) => `${datacenter}.${worker}`;
  return workers.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
