/** A call message as the worker runs it. */
import { createHash } from "node:crypto";
import { argumentsId, streamOf, subjectOf } from "../core/broker/names.ts";
import type { StreamReader } from "../core/broker/read.ts";
import { RefusedError } from "../core/errors.ts";
import type { VerifiedCall } from "../core/trust/call.ts";
import type { ActiveTag } from "./active.ts";
import type { Verdict } from "./control.ts";
import { Remaining } from "./limits/history.ts";
import type { StoredJob } from "./outcome-store.ts";
import type { Delivery } from "./pull.ts";

/** A message on its way through an executor. */
export interface CallJob extends StoredJob {
  /** Undefined where it was never to run. */
  delivery?: Delivery;
  /** Names of the workers that vanished with it; empty where one is not known. */
  lostOn: string[];
  /** Which of its calls are still to be run. */
  remaining: Remaining;
  /** It may be another worker's by now: nothing more of it is begun here. */
  abandoned: boolean;
  /** Set where it is not to run (on). */
  verdict?: Exclude<Verdict, { do: "run" }>;
  /** Whether an executor has begun with it. */
  running: boolean;
  /** Whether all of it has run that will, so that it only waits for its outcomes to be stored. */
  ran: boolean;
  /** When an executor began with it, and for how long it kept one, by `performance.now()`. */
  startedMs: number;
  tookMs: number;
}

/** @param reader for arguments that were too large for the message */
export function jobOf(reader: StreamReader, tag: ActiveTag, call: VerifiedCall): CallJob {
  const { u, tag: name } = tag.runnable;
  const { first, count, generation, parts } = call;
  const read = async function* (): AsyncGenerator<Uint8Array> {
    let left = parts;
    const hash = createHash("sha256");
    for await (const stored of reader.all(
      streamOf.arguments(u),
      subjectOf.argumentPart(u, name, argumentsId(first, generation)),
    )) {
      hash.update(stored.data);
      // Before the last one is passed on: without it nothing is started.
      if (--left === 0 && Buffer.compare(hash.digest(), call.sealed) !== 0) {
        throw new RefusedError(`the arguments of call ${first} are not the ones that were signed`);
      }
      yield stored.data;
      if (left === 0) return;
    }
    throw new RefusedError(`${parts - left} of the ${parts} parts of the arguments of call ${first} are there`);
  };
  return {
    tagId: tag.runnable.id,
    first,
    count,
    generation,
    callHash: call.hash,
    ...(parts === 0 ? { sealed: call.sealed } : { parts: { count: parts, read } }),
    tag,
    writes: [],
    unstored: new Map(),
    spills: new Map(),
    remaining: new Remaining([{ from: first, to: first + count, attempts: 0 }]),
    losses: 0,
    lostOn: [],
    timeLimitMs: tag.runnable.options.timeLimitMs,
    memoryBytes: tag.runnable.options.memoryBytes,
    abandoned: false,
    running: false,
    ran: false,
    unsent: false,
    startedMs: performance.now(),
    tookMs: 0,
  };
}
