/** What a cancelled call ends with. */
import { HumqError } from "../errors.ts";

export class CallCancelled extends HumqError {
  /** @param reason the submitter's; empty for none */
  constructor(reason: string) {
    super("call-cancelled", reason === "" ? "cancelled by its submitter" : `cancelled by its submitter: ${reason}`);
  }
}
