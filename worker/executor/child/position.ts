import { writeSync } from "node:fs";
import { POSITION_BYTES, POSITION_FD } from "../protocol.ts";

const record = Buffer.alloc(POSITION_BYTES);

/** Leaves word of the call that is about to run, for the worker to find should it be the process's last. */
export function notePosition(job: number, index: number): void {
  record.writeUInt32BE(job, 0);
  record.writeDoubleBE(index, 4);
  writeSync(POSITION_FD, record, 0, POSITION_BYTES, 0);
}
