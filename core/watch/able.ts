/** Whether there are workers that could ever run a tag's calls. */
import { formatDuration } from "../duration.ts";
import { formatMemory } from "../memory.ts";
import { type TagOptions, timeAskedMs } from "../trust/options.ts";
import { PROTOCOL, VERSION } from "../version.ts";
import type { Reason } from "./explain.ts";
import type { WorkerEntry } from "./workers.ts";

/** What calls need of a worker. */
export interface Need {
  datacenters: readonly string[];
  cpus: number;
  /** Bytes; 0 where it says nothing. */
  memoryBytes: number;
  /** Milliseconds that a worker must have left; 0 where it says nothing. */
  timeMs: number;
}

export function needOf(
  datacenters: readonly string[],
  options: Pick<TagOptions, "cpus" | "memoryBytes" | "timeLimitMs" | "timeRequestMs">,
): Need {
  const { cpus, memoryBytes } = options;
  return { datacenters, cpus, memoryBytes, timeMs: timeAskedMs(options) };
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

export function speaksOurs({ protocol }: WorkerEntry): boolean {
  return protocol === PROTOCOL;
}

function otherVersion(where: string, workers: readonly WorkerEntry[]): Reason {
  const spoken = [...new Set(workers.map(({ protocol }) => protocol))].sort((a, b) => a - b);
  const newer = spoken.every((protocol) => protocol > PROTOCOL);
  return {
    code: "other-version",
    message: `the ${plural(workers.length, "worker")} of ${where} speak${workers.length === 1 ? "s" : ""} humq protocol ${spoken.join(", ")}, this humq (${VERSION}) and what it submits ${PROTOCOL}`,
    advice: newer ? "update humq here, and submit again" : "have humq updated on the workers",
  };
}

/** What no worker has enough of for a call. @param where names them */
function tooMuch(
  { cpus, memoryBytes, timeMs }: Need,
  workers: readonly WorkerEntry[],
  where: string,
): Reason | undefined {
  const slots = Math.max(...workers.map((worker) => worker.slots));
  if (cpus > slots) {
    return {
      code: "too-many-cpus",
      message: `a call needs ${cpus} cpus, and the largest worker of ${where} has ${plural(slots, "slot")}`,
      advice: `start one with more: humq worker --slots ${cpus}; or submit again with fewer cpus`,
    };
  }
  const bytes = Math.max(...workers.map((worker) => worker.memoryBytes));
  if (memoryBytes > bytes) {
    const asked = formatMemory(memoryBytes);
    return {
      code: "too-much-memory",
      message: `a call asks for ${asked} of memory, and the largest worker of ${where} has ${formatMemory(bytes, memoryBytes)}`,
      advice: `start one with more: humq worker --memory ${asked}, on a machine that has it; or submit again with less memory`,
    };
  }
  const leftMs = Math.max(
    ...workers.map(({ leavesMs }) => (leavesMs === null ? Number.POSITIVE_INFINITY : leavesMs - Date.now())),
  );
  if (timeMs > leftMs) {
    return {
      code: "too-little-time",
      message: `a call asks for ${formatDuration(timeMs)}, and the workers of ${where} have ${formatDuration(Math.max(0, leftMs))} left at most`,
      advice:
        "wait for a worker that stays longer, or start one: humq worker --time-limit; or submit again with a shorter timeRequest or timeLimit",
    };
  }
  return undefined;
}

/**
 * What is wrong with the workers, whom the tag needs; undefined where nothing is.
 * @param workers those of its datacenters
 */
export function ofWorkers(need: Need, workers: readonly WorkerEntry[]): Reason | undefined {
  const { datacenters } = need;
  const named = datacenters.map((name) => `"${name}"`).join(", ");
  const where = `datacenter${datacenters.length === 1 ? "" : "s"} ${named}`;
  if (workers.length === 0) {
    return {
      code: "no-worker",
      message: `no worker of ${where} is there`,
      advice: "start one there: humq worker. All that are there: humq workers",
    };
  }
  const able = workers.filter(speaksOurs);
  if (able.length === 0) return otherVersion(where, workers);
  const [holding] = able;
  if (holding !== undefined && able.every(({ holds }) => holds !== null)) {
    return {
      code: "workers-hold",
      message: `the ${plural(able.length, "worker")} of ${where} ${able.length === 1 ? "takes" : "take"} no new work: ${holding.holds}`,
      advice:
        "clocks are set by whoever runs the machines; a revocation list is renewed by the instance's owner: humq renew",
    };
  }
  const lack = tooMuch(need, able, where);
  if (lack !== undefined) return lack;
  if (able.every(({ isolation, unsafe }) => isolation === "none" && !unsafe)) {
    return {
      code: "own-calls-only",
      message: `the workers of ${where} have no isolation, so each runs only calls of the person who started it`,
      advice: "if that is not you: have bubblewrap installed there, or the worker started with --unsafe",
    };
  }
  return undefined;
}
