import { BrokerError } from "../core/errors.ts";

/** The broker took this worker's login before, and does not any more. */
export class ShutOutError extends BrokerError {
  /** @param why what the broker said; default: nothing */
  constructor(why?: string) {
    const said = why === undefined ? "" : `: ${why}`;
    const guess = /\brevoked\b/.test(said) ? "" : " Has its grant expired?";
    super(`the broker does not let this worker in any more${said}.${guess}`);
  }
}
