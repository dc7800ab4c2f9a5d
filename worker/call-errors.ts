/** Why a call has no outcome of its own making, for its submitter. */
import { CallEndError } from "../core/errors.ts";
import type { EndCause } from "./executor/job.ts";

export class CallRefused extends CallEndError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-refused", message, options);
  }
}

export class CallFailed extends CallEndError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-failed", message, options);
  }
}

/** Over a limit that its submitter set, or the worker. */
export class CallKilled extends CallEndError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-killed", message, options);
  }
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** Which workers those were: `on a once, on b 2 times, and 2 times on a worker that is not known`. */
function whereLost(lostOn: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const worker of lostOn) counts.set(worker, (counts.get(worker) ?? 0) + 1);
  const known = [...counts].filter(([worker]) => worker !== "");
  const texts = known.map(([worker, count]) => `on ${worker} ${times(count)}`);
  const unknown = counts.get("") ?? 0;
  if (unknown > 0) texts.push(`${times(unknown)} on a worker that is not known: it vanished within 2s of beginning`);
  return texts.join(", ");
}

export class CallLost extends CallEndError {
  /**
   * @param lostOn names of the workers, empty where one is not known
   * @param killed what ended its process the last time, where its worker had not vanished
   */
  constructor(lostOn: readonly string[], killed?: EndCause) {
    const what = killed === undefined ? "its worker vanished" : "its process was killed, or its worker vanished,";
    const last = killed === undefined ? "" : ` The last time ${killed.message}.`;
    super(
      "call-lost",
      `${what} ${times(lostOn.length)} while it had this call (${whereLost(lostOn)}), so it is not run again.${last} It may ` +
        "have taken too much memory or otherwise harmed its machine; look at the machines, then run it again.",
    );
  }
}

/** Whether somebody else than this worker ended the process: a machine out of memory, or whoever runs it. */
export function isKilledFromOutside({ kind, signal }: EndCause): boolean {
  return kind === "signal" && signal === "SIGKILL";
}

/** Whether the call went over a limit that its submitter set, or the worker. */
export function isOverLimit({ kind }: EndCause): boolean {
  return kind === "time" || kind === "memory" || kind === "limit";
}

/** What a call is told that took its executor down. */
export function crashError(cause: EndCause): CallFailed | CallKilled {
  const said = cause.stderr.trim();
  const message = said === "" ? cause.message : `${cause.message}. The last it wrote to stderr:\n${said}`;
  return isOverLimit(cause) ? new CallKilled(message) : new CallFailed(message);
}
