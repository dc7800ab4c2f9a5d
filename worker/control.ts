/** What the submitter said of a tag after submitting it: which calls are cancelled, which run in a later generation. */
import { streamOf, subjectOf } from "../core/broker/names.ts";
import type { StreamReader } from "../core/broker/read.ts";
import { type ControlOwner, ControlState, openControl, type ReadControl, readControl } from "../core/control/state.ts";
import { RefusedError } from "../core/errors.ts";

/** What is to be done with a message. */
export type Verdict =
  | { do: "run" }
  /** All its calls are cancelled. */
  | { do: "cancel"; reason: string }
  /** None of its calls may run, for good. */
  | { do: "refuse"; reason: string }
  /** Nobody asks for it any more: its tag is deleted, or its calls run in a later generation. */
  | { do: "drop" }
  /** It is of a generation that no signed record speaks of. */
  | { do: "release" };

export interface MessageOfCalls {
  first: number;
  count: number;
  generation: number;
}

export function judge(state: ControlState, { first, count, generation }: MessageOfCalls): Verdict {
  if (state.deleted) return { do: "drop" };
  if (state.retries.length === 0 && state.cancel === undefined) return { do: generation === 0 ? "run" : "release" };
  let newest = 0;
  let current = 0;
  let cancelled = 0;
  let reason = "";
  for (let index = first; index < first + count; index++) {
    const expected = state.generationOf(index);
    newest = Math.max(newest, expected);
    if (expected !== generation) continue;
    current++;
    const why = state.cancelled(index, generation);
    if (why === undefined) continue;
    cancelled++;
    reason = why;
  }
  if (current === 0) return { do: newest < generation ? "release" : "drop" };
  return current === cancelled ? { do: "cancel", reason } : { do: "run" };
}

export class TagControl {
  readonly #reader: StreamReader;
  readonly #u: string;
  readonly #owner: ControlOwner;
  #state: ControlState;

  private constructor(reader: StreamReader, u: string, owner: ControlOwner, state: ControlState) {
    this.#reader = reader;
    this.#u = u;
    this.#owner = owner;
    this.#state = state;
  }

  /**
   * @param read what {@link readRecords} gave
   * @throws RefusedError | DecodeError where a record is not what the submitter signed
   */
  static open(reader: StreamReader, u: string, owner: ControlOwner, read: ReadControl): TagControl {
    return new TagControl(reader, u, owner, openControl(read, owner));
  }

  get state(): ControlState {
    return this.#state;
  }

  /** @returns whether the broker holds all that was known before: what is less is not obeyed */
  async #read(): Promise<boolean> {
    const { tag } = this.#owner;
    const now = await readControl(this.#reader, this.#u, this.#owner);
    // Last, since a delete removes the manifest last.
    const manifest = await this.#reader.next(streamOf.tags(this.#u), subjectOf.manifest(this.#u, tag));
    if (manifest === null) this.#state = new ControlState({ ...this.#owner, deleted: 1, entries: [] });
    else if (now.forgets(this.#state)) return false;
    else this.#state = now;
    return true;
  }

  /**
   * Reads the records again; a tag without a manifest has been deleted.
   * @throws RefusedError where less is cancelled or retried than before: what was known goes on being obeyed
   */
  async refresh(): Promise<void> {
    if (await this.#read()) return;
    throw new RefusedError(`of what was cancelled or retried of ${this.#owner.tag} the broker holds less than before`);
  }

  /** What to do with a pulled message; a retry that was not heard of is looked up. */
  async judge(call: MessageOfCalls): Promise<Verdict> {
    const verdict = judge(this.#state, call);
    if (verdict.do !== "release") return verdict;
    // Where less is there than before, maybe since a replica lags behind, it is to be looked up again later.
    return (await this.#read()) ? judge(this.#state, call) : verdict;
  }
}
