/** What the broker says: reachable, its clock, the grant, who would run calls. */
import { askServerTime } from "../../broker/clock.ts";
import { HUB_STREAMS, IMPORTED_API, subjectOf } from "../../broker/names.ts";
import { StreamReader } from "../../broker/read.ts";
import { formatDuration } from "../../duration.ts";
import { HumqError } from "../../errors.ts";
import { isoTime } from "../../moment.ts";
import { CLOCK_TOLERANCE_MS, openDirectory } from "../../trust/grant.ts";
import { checkSerial, lackOfFreshness, openRevocations } from "../../trust/revocation.ts";
import { listWorkers, type WorkerEntry } from "../../watch/workers.ts";
import type { Instance } from "../home.ts";
import { savedRevocations } from "../revocations.ts";
import { openAnySession, type Session } from "../session.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { checkTls } from "./tls.ts";

const DAY_MS = 24 * 60 * 60_000;
/** A revocation list that ends sooner is, too: it is renewed daily at least where somebody looks after it. */
const LIST_NOTICE_MS = 2 * DAY_MS;
/** A grant that ends sooner is worth a word. */
const EXPIRY_NOTICE_MS = 14 * DAY_MS;

export async function* checkBroker(instance: Instance): AsyncGenerator<Check> {
  let session: Session;
  try {
    session = await openAnySession(instance, "humq doctor");
  } catch (error) {
    if (!(error instanceof HumqError)) throw error;
    // What is wrong with keys and grants says its own remedy.
    if (error.code === "broker" && error.message.startsWith("cannot reach")) {
      const advice = "Is it running (humq up, or the server of humq init), and does a firewall let you through?";
      yield fail("broker", error.message, advice);
    } else yield fail("broker", error.message);
    return;
  }
  try {
    yield ok(
      "broker",
      `nats-server ${session.nc.info?.version} at ${session.nc.getServer()}, ${await session.nc.rtt()} ms`,
    );
    const tls = await checkTls(session.link);
    if (tls !== undefined) yield tls;
    yield checkGrant(session);
    yield await checkClock(session);
    if (session.grant.role === "worker") {
      yield await checkRevocations(session);
      return;
    }
    // It is for them to renew; of the others only workers need to know.
    if (instance.hasRoot) yield await checkRevocations(session);
    yield await checkDatacenters(session);
    yield* checkHolding(await listWorkers(session));
  } finally {
    await session.nc.close();
  }
}

function checkGrant({ grant }: Session): Check {
  const whose = `${grant.name} (${grant.role})`;
  if (grant.expiresMs === 0) return ok("grant", `${whose}, valid for ever`);
  const leftMs = grant.expiresMs - Date.now();
  const until = `${whose}, valid until ${isoTime(grant.expiresMs)}`;
  if (leftMs > EXPIRY_NOTICE_MS) return ok("grant", until);
  return warn("grant", `${until}: ${formatDuration(Math.max(0, leftMs))} from now`, "Ask the owner to grant it again.");
}

async function checkClock({ nc }: Session): Promise<Check> {
  const serverMs = await askServerTime(nc);
  if (serverMs === undefined)
    return warn(
      "clock",
      "the server does not tell its time",
      "Use nats-server 2.15 or newer; a worker's grant of an older humq does not let it ask: have it granted again.",
    );
  const offMs = serverMs - Date.now();
  const off = formatDuration(Math.abs(offMs));
  if (Math.abs(offMs) < CLOCK_TOLERANCE_MS / 2) return ok("clock", `within ${off} of the server's`);
  const message = `the server's clock is ${off} ${offMs > 0 ? "ahead of" : "behind"} this machine's`;
  const advice = "Set the clocks (NTP): grants are valid by the clock.";
  return Math.abs(offMs) < CLOCK_TOLERANCE_MS ? warn("clock", message, advice) : fail("clock", message, advice);
}

/** As a worker of the datacenter would see it. */
async function checkRevocations({ nc, instance, link }: Session): Promise<Check> {
  const reader = await StreamReader.open(nc, IMPORTED_API);
  const stored = await reader.next(HUB_STREAMS.grants, subjectOf.revoked());
  const advice = "Its owner renews it: humq renew, or any other of their commands; humq up does it every hour.";
  try {
    const list = stored === null ? undefined : openRevocations(stored.data, link.rootKey);
    if (list !== undefined) checkSerial(list, savedRevocations(instance, link.rootKey));
    const lack = lackOfFreshness(list, Date.now());
    if (lack !== undefined || list === undefined)
      return fail("revocations", `${lack}: workers take no new work`, advice);
    const until = `list ${list.serial} is good until ${isoTime(list.validUntilMs)}`;
    const leftMs = list.validUntilMs - Date.now();
    return leftMs > LIST_NOTICE_MS ? ok("revocations", until) : warn("revocations", until, advice);
  } catch (error) {
    if (!(error instanceof HumqError)) throw error;
    return fail("revocations", `${error.message}: workers take no new work`, "Tell the instance's owner.");
  }
}

/** What keeps workers from taking work, one line for each reason. */
function* checkHolding(workers: readonly WorkerEntry[]): Generator<Check> {
  for (const [reason, holding] of Map.groupBy(workers, ({ holds }) => holds)) {
    if (reason === null) continue;
    const names = holding.map(({ worker }) => worker).join(", ");
    yield fail(
      "workers",
      `${names}: no new work is taken, since ${reason}`,
      "Clocks: set them. The revocation list: its owner renews it (humq renew).",
    );
  }
}

async function checkDatacenters({ nc, grant, link }: Session): Promise<Check> {
  const reader = await StreamReader.open(nc, IMPORTED_API);
  const stored = await reader.last(HUB_STREAMS.grants, subjectOf.directory());
  const known = stored === null ? [] : openDirectory(stored.data, link.rootKey).datacenters.map(({ name }) => name);
  const serving = known.filter((name) => grant.datacenters.length === 0 || grant.datacenters.includes(name));
  if (serving.length === 0) {
    return fail("datacenters", "none serves you", "The owner grants one: humq grant REQUEST NAME --role worker");
  }
  const workers = new Map<string, number>(serving.map((name) => [name, 0]));
  for await (const { subject, data } of reader.all(HUB_STREAMS.workers, subjectOf.worker("*", "*"))) {
    // A worker that has left.
    if (data.length === 0) continue;
    const name = subject.split(".")[2] ?? "";
    const count = workers.get(name);
    if (count !== undefined) workers.set(name, count + 1);
  }
  const message = [...workers].map(([name, count]) => `${name} (${count} worker${count === 1 ? "" : "s"})`).join(", ");
  const some = [...workers.values()].some((count) => count > 0);
  return some
    ? ok("datacenters", message)
    : warn("datacenters", message, "Calls wait until one starts: humq worker, on a machine with the datacenter's key.");
}
