/**
 * The executor's end of the pipes to the worker. Reading goes through the event loop; writing blocks, so that what
 * was sent is out of this process whatever user code does to it next, and so that a slow worker slows it down.
 */
import { Socket } from "node:net";
import {
  encodeFrame,
  encodePartFrame,
  FrameReader,
  INPUT_FD,
  type Message,
  type MessageBody,
  type MessageKind,
  OUTPUT_FD,
} from "../protocol.ts";
import { writeAll, writePieces } from "./write-all.ts";

/** The worker is trusted; the bound only catches a stream that is out of step. */
const FRAME_LIMIT_BYTES = 1024 * 1024 * 1024;
/** Up to here header and body go out in one write. */
const JOIN_BYTES = 64 * 1024;

/** Without its worker an executor has no reason to be: ends it and everything it started. */
export function endGroup(): never {
  process.kill(0, "SIGKILL");
  process.exit(1);
}

/** The executor itself is broken: says so on stderr, which the worker reports, and ends. */
export function fatal(error: unknown): never {
  writeAll(2, Buffer.from(`executor: ${(error as Error)?.stack ?? error}\n`));
  process.exit(70);
}

export function listen(onMessage: (message: Message) => void): void {
  const reader = new FrameReader(FRAME_LIMIT_BYTES);
  const input = new Socket({ fd: INPUT_FD, readable: true, writable: false });
  input.on("data", (chunk) => {
    try {
      for (const message of reader.push(chunk)) onMessage(message);
    } catch (error) {
      fatal(error);
    }
  });
  input.on("error", endGroup);
  input.on("close", endGroup);
}

export function send<K extends MessageKind>(kind: K, body: MessageBody<K>): void {
  const pieces = encodeFrame(kind, body);
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  try {
    if (size <= JOIN_BYTES) writeAll(OUTPUT_FD, Buffer.concat(pieces, size));
    else for (const piece of pieces) writeAll(OUTPUT_FD, piece);
  } catch {
    endGroup();
  }
}

/** A sealed part of a large result, in pieces. */
export function sendPart(body: Omit<MessageBody<"resultPart">, "sealed">, sealed: readonly Uint8Array[]): void {
  try {
    writePieces(OUTPUT_FD, encodePartFrame("resultPart", body, sealed));
  } catch {
    endGroup();
  }
}
