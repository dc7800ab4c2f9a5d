/** The lines of a file, as bytes: what is hashed is what lies there. */
import { createReadStream } from "node:fs";
import { InstanceError } from "../errors.ts";

/** No record is nearly as long. */
const LINE_MOST = 16 * 2 ** 20;

export interface Line {
  bytes: Buffer;
  /** False for what follows the last line feed. */
  whole: boolean;
}

/** @throws InstanceError where the file cannot be read, or has a line of more than 16 MiB */
export async function* linesOf(path: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const block of createReadStream(path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? block : Buffer.concat([rest, block]);
      let start = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
        yield { bytes: bytes.subarray(start, end), whole: true };
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length > LINE_MOST) throw new Error(`it has a line of more than ${LINE_MOST} bytes`);
    }
  } catch (cause) {
    throw new InstanceError(`cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}
