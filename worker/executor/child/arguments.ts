import { DecodeError } from "../../../core/errors.ts";
import { unpackArguments } from "../../../core/trust/arguments.ts";
import { open, type SealContext } from "../../../core/trust/seal.ts";
import { decodeValue } from "../../../core/values/index.ts";
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
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < job.parts; part++) {
    const last = part === job.parts - 1;
    pieces.push(open(tagKey, { ...context, kind: "call-part", part, last }, job.received[part]!));
    // Sealed and opened bytes of large arguments need not lie in memory side by side.
    job.received[part] = new Uint8Array();
  }
  return Buffer.concat(pieces);
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
