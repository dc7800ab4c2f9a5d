/** Whether there are workers that could ever run a tag's calls. */
import { PROTOCOL, VERSION } from "../version.ts";
import type { Reason } from "./explain.ts";
import type { WorkerEntry } from "./workers.ts";

/** What calls need of a worker. */
export interface Need {
  datacenters: readonly string[];
  cpus: number;
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

/**
 * What is wrong with the workers, whom the tag needs; undefined where nothing is.
 * @param workers those of its datacenters
 */
export function ofWorkers({ datacenters, cpus }: Need, workers: readonly WorkerEntry[]): Reason | undefined {
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
  const most = Math.max(...able.map(({ slots }) => slots));
  if (cpus > most) {
    return {
      code: "too-many-cpus",
      message: `a call needs ${cpus} cpus, and the largest worker of ${where} has ${plural(most, "slot")}`,
      advice: `start one with more: humq worker --slots ${cpus}; or submit again with fewer cpus`,
    };
  }
  if (able.every(({ isolation, unsafe }) => isolation === "none" && !unsafe)) {
    return {
      code: "own-calls-only",
      message: `the workers of ${where} have no isolation, so each runs only calls of the person who started it`,
      advice: "if that is not you: have bubblewrap installed there, or the worker started with --unsafe",
    };
  }
  return undefined;
}
