/** Which calls were lost: they have no outcome, and their message is not in the queue any more. */
import type { ConsumerInfo } from "@nats-io/jetstream";
import type { ControlState } from "../control/state.ts";
import { type StoredCall, StoredCalls } from "../control/stored.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { hasLeft, inQueue } from "./queue.ts";

/** From so many lost calls on all messages are read at once; else calls are looked up, at least so many. */
const SINGLY = 1000;
const AT_ONCE = 64;

export interface Lost {
  /** Messages that are to be given out again. */
  messages: StoredCall[];
  /** Calls of chunks that lie apart: the place of such a chunk in the queue is another call's. */
  apart: number[];
  /** Calls of which the broker holds no message of their generation that the submitter signed. */
  missing: number[];
  /** Those of them of which it holds one of an earlier generation. */
  older: Set<number>;
}

/** The message of a call; undefined where there is none, or what is there is not what the submitter signed. */
async function find(calls: StoredCalls, index: number): Promise<StoredCall | undefined> {
  try {
    return await calls.find(index);
  } catch (error) {
    if (error instanceof InstanceError || error instanceof RefusedError || error instanceof DecodeError)
      return undefined;
    throw error;
  }
}

/** Sorts calls by what has to be done about them. */
class Sorter {
  readonly lost: Lost = { messages: [], apart: [], missing: [], older: new Set() };
  readonly #queue: ConsumerInfo;
  readonly #control: ControlState;
  readonly #seen = new Set<number>();

  constructor(queue: ConsumerInfo, control: ControlState) {
    this.#queue = queue;
    this.#control = control;
  }

  add(index: number, call: StoredCall | undefined): void {
    const generation = this.#control.generationOf(index);
    if (call === undefined || call.generation !== generation) {
      this.lost.missing.push(index);
      if (call !== undefined && call.generation < generation) this.lost.older.add(index);
    } else if (call.kept) this.lost.apart.push(index);
    else if (!this.#seen.has(call.seq) && hasLeft(this.#queue, call.seq)) {
      this.#seen.add(call.seq);
      this.lost.messages.push(call);
    }
  }

  get size(): number {
    const { messages, apart, missing } = this.lost;
    return messages.length + apart.length + missing.length;
  }
}

/**
 * @param queue as it was before it was looked which calls have outcomes
 * @param open calls without outcome, in order
 */
export async function findLost(
  access: TagAccess,
  control: ControlState,
  queue: ConsumerInfo,
  open: readonly number[],
): Promise<Lost> {
  const sorter = new Sorter(queue, control);
  const calls = new StoredCalls(access);
  // So many messages must have left the queue. Where it is more, as it may be with chunks, the rest is found next time.
  const waiting = inQueue(queue);
  const expected = waiting === 0 ? open.length : Math.ceil(open.length / access.options.chunkSize) - waiting;
  if (expected < SINGLY) {
    for (let from = 0; from < open.length && (from < SINGLY || sorter.size < expected); from += AT_ONCE) {
      const indices = open.slice(from, from + AT_ONCE);
      const found = await Promise.all(indices.map((index) => find(calls, index)));
      for (const [i, index] of indices.entries()) sorter.add(index, found[i]);
    }
    return sorter.lost;
  }
  const wanted = new Map<number, StoredCall | undefined>(open.map((index) => [index, undefined]));
  for await (const call of calls.all()) {
    for (let index = call.first; index < call.first + call.count; index++) {
      if (wanted.has(index)) wanted.set(index, call);
    }
  }
  for (const [index, call] of wanted) sorter.add(index, call);
  return sorter.lost;
}
