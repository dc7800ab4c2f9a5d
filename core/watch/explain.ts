/** Why a tag is not running, or not faster. */

import { callsOf } from "../broker/names.ts";
import { ACK_WAIT_MS } from "../broker/queue.ts";
import { listPlaces } from "../control/outcomes.ts";
import { formatDuration } from "../duration.ts";
import type { AccessOverError } from "../errors.ts";
import type { Session } from "../instance/session.ts";
import { isoTime } from "../moment.ts";
import { queueInfo } from "../reconcile/queue.ts";
import { openTag, type TagAccess } from "../tag/access.ts";
import { halfAdvice, halfText } from "../tag/half.ts";
import { statusOf, type TagStatus } from "../tag/status.ts";
import { needOf, ofWorkers, plural, speaksOurs } from "./able.ts";
import { isHeard, silence } from "./heard.ts";
import { ofQuota } from "./quota.ts";
import { readRefusals } from "./refused.ts";
import { runningCalls } from "./running.ts";
import { listWorkers, type WorkerEntry } from "./workers.ts";

/** What keeps a tag, stable for programs. */
export type ReasonCode =
  | "finished"
  | "not-closed"
  | "refused"
  | "expired"
  | "no-queue"
  | "paused"
  | "no-worker"
  | "other-version"
  | "too-many-cpus"
  | "too-much-memory"
  | "too-little-time"
  | "own-calls-only"
  | "workers-hold"
  | "access-expired"
  | "access-revoked"
  | "quota"
  | "concurrency"
  | "no-free-slot"
  | "not-taken"
  | "not-heard"
  | "running"
  | "no-outcome";

export interface Reason {
  code: ReasonCode;
  /** What is the matter. */
  message: string;
  /** What to do about it; absent where there is nothing to do. */
  advice?: string;
}

export interface Explanation {
  tag: string;
  /** What matters most comes first. */
  reasons: Reason[];
}

/** What matters here of the tag's queue. */
interface Queue {
  /** Requests of workers for calls of it. */
  waiting: number;
  /** Messages that may be in workers' hands at once. */
  limit: number;
}

/** What keeps any call of the tag from ever starting, whatever the workers do; the first that holds says all. */
function ended(status: TagStatus): Reason | undefined {
  const { tag, calls, succeeded, errors } = status;
  if (status.expired) {
    const since = isoTime(status.expiresMs);
    return {
      code: "expired",
      message: `it expired on ${since}: no worker starts a call of it, and the broker keeps nothing of it`,
      advice: "submit again",
    };
  }
  if (!status.closed) {
    return {
      code: "not-closed",
      message: `it is ${halfText(calls)}. It has no closing record, so none of them runs`,
      advice: halfAdvice(tag),
    };
  }
  if (succeeded + errors >= calls) {
    const all = errors === 0 ? "all succeeded" : `${succeeded} succeeded, ${errors} ended otherwise`;
    const advice = errors === 0 ? `humq pull ${tag}` : `humq pull ${tag}, humq errors ${tag}`;
    return {
      code: "finished",
      message: `${calls === 1 ? "its call has" : `all ${calls} calls have`} ended: ${all}`,
      advice,
    };
  }
  return undefined;
}

/** What is given out at once, in a word. */
function unitOf({ options }: TagAccess): string {
  return options.chunkSize === 1 ? "call" : "chunk";
}

/** What happens to calls that nobody has taken yet. */
function ofPending(access: TagAccess, status: TagStatus, workers: readonly WorkerEntry[], queue: Queue): Reason {
  const { cpus, memoryBytes } = access.options;
  const pending = `${plural(status.pending, unitOf(access))} ${status.pending === 1 ? "waits" : "wait"}`;
  if (status.running >= queue.limit) {
    return {
      code: "concurrency",
      message: `${pending}: no more than ${queue.limit} may run at once, and ${status.running} do`,
      advice: `that is the tag's own limit; to change it: humq concurrency ${status.tag} N`,
    };
  }
  const free = workers.filter(
    (worker) => worker.slots - worker.busy >= cpus && worker.memoryBytes - worker.reservedBytes >= memoryBytes,
  );
  if (free.length === 0) {
    return {
      code: "no-free-slot",
      message: `${pending}: ${workers.length === 1 ? "the one worker that may run it is" : `all ${workers.length} workers that may run it are`} busy`,
      advice: "more workers or slots make it faster: humq worker --slots N",
    };
  }
  if (queue.waiting === 0 && status.running === 0) {
    return {
      code: "not-taken",
      message: `${pending}, and ${plural(free.length, "worker")} with free slots ${free.length === 1 ? "does" : "do"} not ask for them`,
      advice:
        "look again in a moment. If it stays so, what the worker printed says why (a grant that has expired, packages)",
    };
  }
  return { code: "running", message: `${pending} for a moment: workers are taking them` };
}

/** Workers that have calls of the tag, and are not heard any more. */
async function ofSilent(access: TagAccess, workers: readonly WorkerEntry[]): Promise<Reason[]> {
  const silent = workers.filter((worker) => !isHeard(worker));
  if (silent.length === 0) return [];
  const { subjects } = await listPlaces(access);
  const ended = new Set(callsOf(subjects));
  const running = await runningCalls(access, (index) => !ended.has(index), silent);
  return silent.flatMap((one): Reason[] => {
    const held = running.filter(({ worker, datacenter }) => worker === one.worker && datacenter === one.datacenter);
    if (held.length === 0) return [];
    const lease = formatDuration(ACK_WAIT_MS);
    return [
      {
        code: "not-heard",
        message: `worker ${one.worker}, which has ${plural(held.length, unitOf(access))} in hand, was not heard for ${silence(one)}: what it has runs elsewhere once its lease of ${lease} is over`,
        advice: "where no other worker is there, start one: humq worker",
      },
    ];
  });
}

/** What is the matter with a tag that has calls left to run. */
function unfinished(
  access: TagAccess,
  status: TagStatus,
  queue: Queue | undefined,
  workers: readonly WorkerEntry[],
  silent: readonly Reason[],
  first: readonly Reason[],
): Reason[] {
  const { tag, pending, running, calls, succeeded, errors } = status;
  const open = calls - succeeded - errors;
  if (queue === undefined) {
    const message = `its queue is not on the broker any more, so nobody can take its ${plural(open, "open call")}`;
    return [
      { code: "no-queue", message, advice: `humq status ${tag}, or any pull, makes it again; nothing of it is lost` },
    ];
  }
  const reasons: Reason[] = [...first];
  if (status.paused) {
    reasons.push({ code: "paused", message: "it is paused", advice: `humq resume ${tag}` });
  }
  const missing = ofWorkers(needOf(access.manifest.datacenters, access.options), workers);
  if (missing !== undefined) reasons.push(missing);
  else if (pending > 0 && !status.paused) reasons.push(ofPending(access, status, workers.filter(takes), queue));
  reasons.push(...silent);
  if (running > 0) {
    reasons.push({
      code: "running",
      message: `${plural(running, unitOf(access))} ${running === 1 ? "is" : "are"} in the hands of workers`,
      advice: `what they print: humq logs ${tag} --follow`,
    });
  }
  if (pending === 0 && running === 0) {
    reasons.push({
      code: "no-outcome",
      message: `${plural(open, "call")} left the queue without an outcome that is stored: the broker lost something`,
      advice: `humq status ${tag}, or any pull, has them run again`,
    });
  }
  return reasons;
}

function takes(worker: WorkerEntry): boolean {
  return speaksOurs(worker) && worker.holds === null;
}

/** The same for somebody who is not let in any more. @param tag as they call it */
export function explainNoAccess(tag: string, { why, message }: AccessOverError): Explanation {
  const reason: Reason =
    why === "expired"
      ? {
          code: "access-expired",
          message: `${message}: calls that run go on to their end, those in the queue are held until it is renewed`,
          advice: "ask the instance's owner to grant you access again; nothing else is needed, and nothing is lost",
        }
      : {
          code: "access-revoked",
          message: `${message.replace(/\. .*$/s, "")}: none of your calls runs any more`,
          advice:
            "ask the instance's owner. Granted access again you submit again: what was submitted before is refused",
        };
  return { tag, reasons: [reason] };
}

/** @param tag its full name */
export async function explainTag(session: Session, tag: string): Promise<Explanation> {
  const access = await openTag(session, tag);
  const [status, queue, all, full, refusals] = await Promise.all([
    statusOf(access),
    queueInfo(access),
    listWorkers(session),
    ofQuota(session),
    readRefusals(access),
  ]);
  const final = ended(status);
  if (final !== undefined) return { tag, reasons: [final] };
  const workers = all.filter(({ datacenter }) => access.manifest.datacenters.includes(datacenter));
  const silent = status.running > 0 ? await ofSilent(access, workers) : [];
  const first: Reason[] = full === undefined ? [] : [full];
  for (const message of refusals) {
    first.push({ code: "refused", message, advice: "what the broker holds may have been changed there: submit again" });
  }
  const known = queue && {
    waiting: queue.num_waiting,
    limit: queue.config.max_ack_pending ?? Number.POSITIVE_INFINITY,
  };
  return { tag, reasons: unfinished(access, status, known, workers.filter(isHeard), silent, first) };
}
