/** Where a submit takes its calls from: those that were recorded, then those that something gives one after the other. */
import { UnsupportedValueError, UsageError } from "../errors.ts";
import { shown } from "../shown.ts";
import { encodeArguments } from "../values/index.ts";

/** Argument lists, one a call. */
export type Calls<A extends readonly unknown[]> = Iterable<A> | AsyncIterable<A>;

/** Calls that can be looked at in any order, and again. */
export interface RecordedCalls {
  readonly length: number;
  /** The encoded arguments of calls `from` to `to` - 1. */
  slice(from: number, to: number): Uint8Array[];
}

/** Calls in their order, each given once. */
export interface CallSource {
  /** How many there are; undefined where that is not known yet. */
  readonly length: number | undefined;
  /** The encoded arguments of the next calls, `most` at most; none where all were taken. @throws CallsFailed */
  take(most: number): Uint8Array[] | Promise<Uint8Array[]>;
  /** The first of the next ones, as far as they are at hand, without taking them. */
  peek(most: number): Uint8Array[];
  /** No more are wanted. */
  close(): Promise<void>;
}

/** What gives the calls has failed, or has given what cannot be a call: `cause` says it. */
export class CallsFailed extends Error {}

export function isCalls(value: unknown): value is Calls<unknown[]> {
  return typeof value === "object" && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
}

export class RecordedSource implements CallSource {
  readonly calls: RecordedCalls;
  #next = 0;

  constructor(calls: RecordedCalls) {
    this.calls = calls;
  }

  get length(): number {
    return this.calls.length;
  }

  take(most: number): Uint8Array[] {
    const lists = this.calls.slice(this.#next, this.#next + most);
    this.#next += lists.length;
    return lists;
  }

  peek(most: number): Uint8Array[] {
    return this.calls.slice(this.#next, this.#next + most);
  }

  async close(): Promise<void> {
    // Recorded calls go with the recording.
  }
}

/** So many are taken before anything is sent: a few calls are sent otherwise than many. */
const AHEAD = 150;

function encodeCall(list: unknown, index: number): Uint8Array {
  if (!Array.isArray(list)) {
    throw new UsageError(`call ${index}: expected an array of arguments such as [1, "x"], got ${shown(list)}`);
  }
  try {
    return encodeArguments(list);
  } catch (error) {
    if (!(error instanceof UnsupportedValueError)) throw error;
    const { path, message } = error;
    throw new UnsupportedValueError(`call ${index}, ${path}`, message.slice(path.length + 2), { cause: error.cause });
  }
}

/** Recorded calls, then those of an iterable, which are never held all at once. */
export class GivenSource implements CallSource {
  readonly #recorded: RecordedSource;
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  #ahead: Uint8Array[] = [];
  #seen: number;
  #ended = false;

  private constructor(recorded: RecordedCalls, calls: Calls<unknown[]>) {
    this.#recorded = new RecordedSource(recorded);
    this.#seen = recorded.length;
    this.#iterator = Symbol.asyncIterator in calls ? calls[Symbol.asyncIterator]() : calls[Symbol.iterator]();
  }

  /** @throws CallsFailed where one of the first fails */
  static async open(recorded: RecordedCalls, calls: Calls<unknown[]>): Promise<GivenSource> {
    const source = new GivenSource(recorded, calls);
    source.#ahead = await source.#read([], AHEAD);
    return source;
  }

  get length(): number | undefined {
    return this.#ended ? this.#seen : undefined;
  }

  take(most: number): Uint8Array[] | Promise<Uint8Array[]> {
    const lists = this.#recorded.take(most);
    // From here on as many as were asked for, if there are so many: they are one message.
    if (lists.length < most && this.#ahead.length > 0) lists.push(...this.#ahead.splice(0, most - lists.length));
    return lists.length < most ? this.#read(lists, most) : lists;
  }

  peek(most: number): Uint8Array[] {
    return [...this.#recorded.peek(most), ...this.#ahead].slice(0, most);
  }

  /** Fills `lists` up. */
  #read(lists: Uint8Array[], most: number): Uint8Array[] | Promise<Uint8Array[]> {
    try {
      while (lists.length < most && !this.#ended) {
        const step = this.#iterator.next();
        if (step instanceof Promise) return this.#readLate(step, lists, most);
        this.#add(step, lists);
      }
    } catch (error) {
      throw this.#failed(error);
    }
    return lists;
  }

  async #readLate(first: Promise<IteratorResult<unknown>>, lists: Uint8Array[], most: number): Promise<Uint8Array[]> {
    try {
      this.#add(await first, lists);
      while (lists.length < most && !this.#ended) this.#add(await this.#iterator.next(), lists);
    } catch (error) {
      throw this.#failed(error);
    }
    return lists;
  }

  #add({ done, value }: IteratorResult<unknown>, lists: Uint8Array[]): void {
    if (done === true) this.#ended = true;
    else lists.push(encodeCall(value, this.#seen++));
  }

  #failed(cause: unknown): CallsFailed {
    return new CallsFailed("the calls failed", { cause });
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#iterator.return?.();
  }
}
