/** A piece of a call's console output, as it lies in the log stream. */
import { DecodeError } from "../errors.ts";
import { KEY_BYTES } from "./keys.ts";
import { bytes, fixed, recordType, text, u32 } from "./record.ts";
import { open, SealKind, seal } from "./seal.ts";

export interface LogContext {
  rootKey: Uint8Array;
  user: string;
  tag: string;
  index: number;
  generation: number;
  callHash: Uint8Array;
  /** Number of the piece in its call, from 0. */
  part: number;
}

export interface LogPiece {
  stream: "stdout" | "stderr";
  text: Uint8Array;
}

const logMessage = recordType<{ generation: number; callHash: Uint8Array; part: number; sealed: Uint8Array }>(
  "humq/log-message/1",
  { generation: u32, callHash: fixed(KEY_BYTES), part: u32, sealed: bytes },
);

const logPiece = recordType<{ stream: string; text: Uint8Array }>("humq/log/1", { stream: text, text: bytes });

export function sealLog(tagKey: Uint8Array, context: LogContext, piece: LogPiece): Uint8Array {
  const { index, generation, callHash, part } = context;
  const plaintext = logPiece.encode({ ...piece });
  const sealed = seal(tagKey, { ...context, kind: SealKind.log, first: index, count: 1 }, plaintext);
  return logMessage.encode({ generation, callHash, part, sealed });
}

/** @throws RefusedError | DecodeError where it is not output of this tag's call `index` */
export function openLog(
  tagKey: Uint8Array,
  owner: Pick<LogContext, "rootKey" | "user" | "tag" | "index">,
  message: Uint8Array,
): LogContext & LogPiece {
  const { generation, callHash, part, sealed } = logMessage.decode(message);
  const context = { ...owner, generation, callHash, part };
  const seen = { ...context, kind: SealKind.log, first: owner.index, count: 1 };
  const { stream, text: output } = logPiece.decode(open(tagKey, seen, sealed));
  if (stream !== "stdout" && stream !== "stderr")
    throw new DecodeError(`output of unknown kind ${JSON.stringify(stream)}`);
  return { ...context, stream, text: output };
}
