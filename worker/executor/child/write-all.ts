import { writeSync, writevSync } from "node:fs";

/** How long to wait, in milliseconds, where the other end is full and the descriptor does not block. */
const FULL_WAIT_MS = 1;
const wait = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes all of it before it returns. A child process of user code that shares the descriptor may have made it
 * non-blocking, hence EAGAIN.
 */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(wait, 0, 0, FULL_WAIT_MS);
    }
  }
}

/** The same of several pieces, without joining them. */
export function writePieces(fd: number, pieces: readonly Uint8Array[]): void {
  let written = 0;
  try {
    written = writevSync(fd, pieces);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
  }
  for (const piece of pieces) {
    if (written < piece.length) writeAll(fd, piece.subarray(written));
    written = Math.max(0, written - piece.length);
  }
}
