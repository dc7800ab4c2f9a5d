/** What is stored of somebody else's calls: one request for each place, since nothing else of theirs can be asked for. */
import { streamOf, subjectOf } from "../broker/names.ts";
import type { Stored } from "../broker/read.ts";
import { DecodeError, RefusedError } from "../errors.ts";
import { chunkAt } from "../tag/stored.ts";
import type { SharedAccess } from "./access.ts";

/** How what is stored is opened; both throw RefusedError or DecodeError where it is not what it should be. */
export interface Opening<T> {
  /** A call's own outcome. */
  one(stored: Stored): Promise<T>;
  /** Those that a pack answers, by index. */
  pack(stored: Stored): Promise<Map<number, T>>;
}

/** What a pack says of a call, and where it lies. */
interface Packed<T> {
  seq: number;
  outcome: T;
}

async function tried<T>(open: () => Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof RefusedError || error instanceof DecodeError) return undefined;
    throw error;
  }
}

export class SharedOutcomes<T> {
  readonly #access: SharedAccess;
  readonly #opening: Opening<T>;
  /** The chunk that was asked for last: its calls come one after the other. */
  #chunk: { first: number; packed: Promise<Map<number, Packed<T>>> } | undefined;

  constructor(access: SharedAccess, opening: Opening<T>) {
    this.#access = access;
    this.#opening = opening;
  }

  /** @returns undefined where the call has not ended, or where nothing stored is an outcome of it */
  async read(index: number): Promise<T | undefined> {
    const packed = (await this.#packedAround(index)).get(index);
    // A datacenter stores a chunk whole or call by call.
    if (packed !== undefined && this.#access.manifest.datacenters.length === 1) return packed.outcome;
    for (const stored of await this.#storedOf(index)) {
      if (packed !== undefined && packed.seq < stored.seq) break;
      const outcome = await tried(() => this.#opening.one(stored));
      if (outcome !== undefined) return outcome;
    }
    return packed?.outcome;
  }

  #packedAround(index: number): Promise<Map<number, Packed<T>>> {
    const { chunkSize, share } = this.#access;
    const first = index - (index % chunkSize);
    if (this.#chunk?.first !== first) {
      const chunk = chunkAt(chunkSize, share.calls, index);
      const packed = chunk === undefined ? Promise.resolve(new Map()) : this.#readPacks(chunk);
      this.#chunk = { first, packed };
    }
    return this.#chunk.packed;
  }

  /** Of each call of a chunk what the first pack that opens says. */
  async #readPacks(chunk: { first: number; count: number }): Promise<Map<number, Packed<T>>> {
    const { reader, u, manifest } = this.#access;
    const { tag, datacenters } = manifest;
    const asked = datacenters.map((dc) => reader.last(streamOf.results(u), subjectOf.pack(u, dc, tag, chunk)));
    const packed = new Map<number, Packed<T>>();
    for (const stored of inOrder(await Promise.all(asked))) {
      const outcomes = (await tried(() => this.#opening.pack(stored))) ?? [];
      for (const [index, outcome] of outcomes) if (!packed.has(index)) packed.set(index, { seq: stored.seq, outcome });
    }
    return packed;
  }

  /** What is stored of a call by itself, by any datacenter, the first before the others: the first that opens counts. */
  async #storedOf(index: number): Promise<Stored[]> {
    const { reader, u, manifest } = this.#access;
    const { tag, datacenters } = manifest;
    // A request with wildcards is answered with the newest message, so there is one for each that may have one.
    const asked = datacenters.map((datacenter) =>
      reader.last(streamOf.results(u), subjectOf.outcome(u, "*", datacenter, tag, index)),
    );
    return inOrder(await Promise.all(asked));
  }
}

function inOrder(stored: readonly (Stored | null)[]): Stored[] {
  return stored.filter((one) => one !== null).sort((a, b) => a.seq - b.seq);
}
