/** Why a call has no outcome of its own making, for its submitter. */
import { HumqError } from "../core/errors.ts";
import type { EndCause } from "./executor/job.ts";

export class CallRefused extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-refused", message, options);
  }
}

export class CallFailed extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-failed", message, options);
  }
}

/** Over a limit that its submitter set. */
export class CallKilled extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("call-killed", message, options);
  }
}

export class CallLost extends HumqError {
  constructor(losses: number) {
    super(
      "call-lost",
      `its worker vanished ${losses} times while it had this call, so it is not run again. It may have taken too much ` +
        "memory or otherwise harmed its machine; look at the machines, then run it again.",
    );
  }
}

/** Whether the call went over a limit that its submitter set. */
export function isOverLimit({ kind }: EndCause): boolean {
  return kind === "time" || kind === "memory";
}

/** What a call is told that took its executor down. */
export function crashError(cause: EndCause): CallFailed | CallKilled {
  const said = cause.stderr.trim();
  const message = said === "" ? cause.message : `${cause.message}. The last it wrote to stderr:\n${said}`;
  return isOverLimit(cause) ? new CallKilled(message) : new CallFailed(message);
}
