/** What a cancelled call ends with. */
import { CallEndError } from "../errors.ts";

export class CallCancelled extends CallEndError {
  /** @param reason the submitter's; empty for none */
  constructor(reason: string) {
    super("call-cancelled", reason === "" ? "cancelled by its submitter" : `cancelled by its submitter: ${reason}`);
  }
}
