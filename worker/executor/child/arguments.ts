import { DecodeError, RefusedError } from "../../../core/errors.ts";
import { unpackArguments } from "../../../core/trust/arguments.ts";
import { open, type SealContext } from "../../../core/trust/seal.ts";
import { decodeValue } from "../../../core/values/index.ts";
import { noteLarge } from "../../../core/young-garbage.ts";
import { PART_BYTES } from "../job.ts";
import type { QueuedJob } from "./queue.ts";
import type { KnownTag } from "./tags.ts";

/**
 * Opens a job's arguments.
 * @throws RefusedError where they were not sealed for exactly this job
 */
export function openArguments(job: QueuedJob, tag: KnownTag): Uint8Array {
  const { rootKey, user, tag: name, tagKey } = tag;
  const { first, count, generation } = job;
  const context: SealContext = { rootKey, user, tag: name, kind: "call", first, count, generation };
  if (job.parts === 0) return open(tagKey, context, job.sealed);
  // One piece of memory for all, and never sealed and opened bytes of all of them side by side.
  const plaintext = Buffer.allocUnsafeSlow(job.parts * PART_BYTES);
  let bytes = 0;
  for (let part = 0; part < job.parts; part++) {
    const last = part === job.parts - 1;
    const piece = open(tagKey, { ...context, kind: "call-part", part, last }, job.received[part]!);
    job.received[part] = new Uint8Array();
    if (piece.length > plaintext.length - bytes) {
      throw new RefusedError(`the arguments of call ${first} come in larger parts than there are`);
    }
    plaintext.set(piece, bytes);
    bytes += piece.length;
    noteLarge(2 * PART_BYTES);
  }
  return plaintext.subarray(0, bytes);
}

/**
 * The argument lists of a job's calls.
 * @throws DecodeError where the plaintext is not `count` argument lists
 */
export function decodeArguments(plaintext: Uint8Array, count: number): unknown[][] {
  const lists = unpackArguments(plaintext).map(decodeValue);
  if (lists.length !== count || !lists.every(Array.isArray)) {
    throw new DecodeError(
      `the arguments are not the ${count} argument list${count === 1 ? "" : "s"} that were announced`,
    );
  }
  return lists as unknown[][];
}
