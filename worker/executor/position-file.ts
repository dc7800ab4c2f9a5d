/** The executor's note of the call it runs; written by child/position.ts. */
import { readSync } from "node:fs";
import { POSITION_BYTES } from "./protocol.ts";

export interface Position {
  job: number;
  index: number;
}

/** @returns undefined where nothing was ever noted, or what user code wrote there is no position */
export function readPosition(fd: number): Position | undefined {
  const record = Buffer.alloc(POSITION_BYTES);
  if (readSync(fd, record, 0, POSITION_BYTES, 0) < POSITION_BYTES) return undefined;
  const index = record.readDoubleBE(4);
  return Number.isSafeInteger(index) ? { job: record.readUInt32BE(0), index } : undefined;
}
