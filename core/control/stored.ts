/** The call messages of a tag as the broker holds them, each checked. */
import { indexOf, streamOf, subjectOf } from "../broker/names.ts";
import { DecodeError, InstanceError, RefusedError } from "../errors.ts";
import type { TagAccess } from "../tag/access.ts";
import { CallVerifier, type VerifiedCall } from "../trust/call.ts";
import { type CallRange, indicesOf } from "./calls.ts";

/** Fewer calls than this are looked up one by one, else all messages of the tag are read. */
const SINGLY = 1000;

/** A checked message, and the bytes it came in. */
export interface CheckedCall extends VerifiedCall {
  message: Uint8Array;
}

export interface StoredCall extends CheckedCall {
  /** Its place in its stream. */
  seq: number;
  /** It lies apart, out of the queue: its first call was retried by itself and has its place. */
  kept: boolean;
}

export class StoredCalls {
  readonly #access: TagAccess;
  readonly #verifier: CallVerifier;

  constructor(access: TagAccess) {
    this.#access = access;
    this.#verifier = new CallVerifier(access.manifest, access.session.identity.signer.publicKey);
  }

  /** @throws RefusedError | DecodeError where the message is not what the submitter signed for this index */
  check(message: Uint8Array, index: number): CheckedCall {
    return { ...this.#verifier.open(message, index), message };
  }

  /** As {@link check}, but undefined where the message is not what the submitter signed. */
  tryCheck(message: Uint8Array, index: number): CheckedCall | undefined {
    try {
      return this.check(message, index);
    } catch (error) {
      if (!(error instanceof RefusedError || error instanceof DecodeError)) throw error;
      return undefined;
    }
  }

  /**
   * All messages, the older before the newer: of two that hold the same call the later counts. What is not what the
   * submitter signed is passed over: workers refuse it.
   */
  async *all(): AsyncGenerator<StoredCall> {
    const { reader, u, manifest } = this.#access;
    const { tag } = manifest;
    // Chunks out of which calls were retried lie apart: the first of those calls took their place.
    for (const kept of [true, false]) {
      const stream = kept ? streamOf.arguments(u) : streamOf.calls(u);
      const filter = kept ? subjectOf.keptChunk(u, tag, "*") : subjectOf.call(u, tag, "*");
      for await (const { subject, data, seq } of reader.all(stream, filter)) {
        const call = this.tryCheck(data, indexOf(subject));
        if (call !== undefined) yield { ...call, seq, kept };
      }
    }
  }

  /**
   * The newest message that holds the call, however it lies.
   * @throws InstanceError where the broker has none; RefusedError | DecodeError as in {@link all}
   */
  async find(index: number): Promise<StoredCall> {
    const { reader, u, manifest, options } = this.#access;
    const { tag } = manifest;
    const first = index - (index % options.chunkSize);
    const places = [
      { stream: streamOf.calls(u), subject: subjectOf.call(u, tag, index), index, kept: false },
      { stream: streamOf.calls(u), subject: subjectOf.call(u, tag, first), index: first, kept: false },
      { stream: streamOf.arguments(u), subject: subjectOf.keptChunk(u, tag, first), index: first, kept: true },
    ];
    for (const place of places) {
      const stored = await reader.last(place.stream, place.subject);
      if (stored === null) continue;
      const call = this.check(stored.data, place.index);
      if (index < call.first + call.count) return { ...call, seq: stored.seq, kept: place.kept };
    }
    throw new InstanceError(`the broker has no call ${index} of ${tag} any more`);
  }

  /** The messages that hold the calls in `ranges`, and maybe others; a later one counts. */
  async *of(ranges: readonly CallRange[]): AsyncGenerator<StoredCall> {
    const calls = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    if (calls >= SINGLY) {
      yield* this.all();
      return;
    }
    let before: StoredCall | undefined;
    for (const index of indicesOf(ranges)) {
      const call = await this.find(index);
      if (before === undefined || Buffer.compare(call.hash, before.hash) !== 0) yield call;
      before = call;
    }
  }
}
