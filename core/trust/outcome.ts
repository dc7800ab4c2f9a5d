/** How an outcome lies in the results bucket: what its seal is bound to, and the sealed text. */
import { DecodeError } from "../errors.ts";
import { KEY_BYTES } from "./keys.ts";
import { bytes, fixed, recordType, text, u32 } from "./record.ts";

export interface OutcomeMessage {
  generation: number;
  /** The hash of the call message that it answers, 32 bytes. */
  callHash: Uint8Array;
  /** Names the parts of a value too large for the message; empty where there are none. */
  partsId: string;
  /** The sealed outcome (core/outcome.ts). */
  sealed: Uint8Array;
}

/** In place of a call message's hash where the broker holds none of the call any more. */
export const NO_CALL: Uint8Array = new Uint8Array(KEY_BYTES);

const DOMAIN = "humq/outcome-message/";

const outcomeMessage = recordType<OutcomeMessage>(`${DOMAIN}1`, {
  generation: u32,
  callHash: fixed(KEY_BYTES),
  partsId: text,
  sealed: bytes,
});

export function encodeOutcomeMessage(message: OutcomeMessage): Uint8Array {
  return outcomeMessage.encode(message);
}

/** @throws DecodeError where the bytes are not an outcome */
export function decodeOutcomeMessage(encoded: Uint8Array): OutcomeMessage {
  const message = outcomeMessage.decode(encoded);
  if (!/^[A-Za-z0-9-]{0,80}$/.test(message.partsId))
    throw new DecodeError("an outcome names its parts in no proper way");
  return message;
}

/** Whether the bytes say of themselves that they are an outcome of another version. */
export function isOtherVersion(encoded: Uint8Array): boolean {
  // The domain stands in front, behind its length (core/trust/record.ts).
  const said = Buffer.from(encoded.subarray(4, 4 + DOMAIN.length + 2)).toString("latin1");
  return said.startsWith(DOMAIN) && !outcomeMessage.domain.startsWith(said.slice(0, outcomeMessage.domain.length));
}
