/** Recorded calls: encoded arguments, back to back in slabs, so that a million small calls cost little memory. */

const SLAB_BYTES = 1024 * 1024;

export class Recorder {
  #slabs: Uint8Array[] = [];
  #used = 0;
  /** For each call its slab, and where it begins and ends in it. */
  #places = new Float64Array(1024 * 3);
  #length = 0;

  /** Number of recorded calls. */
  get length(): number {
    return this.#length;
  }

  /** Copies one call's encoded arguments; returns its index. */
  add(encoded: Uint8Array): number {
    const index = this.#length++;
    let slab = this.#slabs.at(-1);
    if (slab === undefined || slab.length - this.#used < encoded.length) {
      slab = new Uint8Array(Math.max(SLAB_BYTES, encoded.length));
      this.#slabs.push(slab);
      this.#used = 0;
    }
    slab.set(encoded, this.#used);
    if (this.#places.length < this.#length * 3) {
      const grown = new Float64Array(this.#places.length * 2);
      grown.set(this.#places);
      this.#places = grown;
    }
    this.#places.set([this.#slabs.length - 1, this.#used, this.#used + encoded.length], index * 3);
    this.#used += encoded.length;
    return index;
  }

  /** The encoded arguments of calls `from` to `to` - 1. */
  slice(from: number, to: number): Uint8Array[] {
    const lists: Uint8Array[] = [];
    for (let index = from; index < Math.min(to, this.#length); index++) {
      const [slab = 0, start = 0, end = 0] = this.#places.subarray(index * 3, index * 3 + 3);
      lists.push(this.#slabs[slab]!.subarray(start, end));
    }
    return lists;
  }
}
