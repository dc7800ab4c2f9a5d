import { HumqError } from "../../core/errors.ts";

/** Executors do not start on this machine: nothing can be run until the cause is removed. */
export class ExecutorStartError extends HumqError {
  constructor(message: string, options?: ErrorOptions) {
    super("executor-start", message, options);
  }
}
