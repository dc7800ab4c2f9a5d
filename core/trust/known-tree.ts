/**
 * A Merkle tree whose root is known to be right, and what has been proven of it: a message whose neighbours were checked before
 * costs a hash or two, and its proof is compared with what is known.
 */
import { HASH_BYTES, nodeHash } from "./merkle.ts";

export class KnownTree {
  readonly leaves: number;
  /** Nodes level by level, the leaves first. */
  readonly #nodes: Buffer;
  /** Which of them are known. With a node its sibling is, and all above it. */
  readonly #known: boolean[] = [];
  readonly #root: number;

  /** @param leaves how many it has, at least one */
  constructor(root: Uint8Array, leaves: number) {
    this.leaves = leaves;
    let nodes = 1;
    for (let width = leaves; width > 1; width = (width + 1) >> 1) nodes += width;
    this.#nodes = Buffer.allocUnsafe(nodes * HASH_BYTES);
    this.#root = nodes - 1;
    this.#set(this.#root, root);
  }

  #set(place: number, hash: Uint8Array): void {
    this.#nodes.set(hash, place * HASH_BYTES);
    this.#known[place] = true;
  }

  #is(place: number, hash: Uint8Array): boolean {
    return this.#nodes.compare(hash, 0, HASH_BYTES, place * HASH_BYTES, (place + 1) * HASH_BYTES) === 0;
  }

  /** Whether `proof` is that of leaf `position`. */
  proves(leaf: Uint8Array, position: number, proof: readonly Uint8Array[]): boolean {
    if (position >= this.leaves) return false;
    /** What is known from now on, if it leads to something that is. */
    const learned: [place: number, hash: Uint8Array][] = [];
    let hash = leaf;
    let met = false;
    let used = 0;
    let level = 0;
    for (let at = position, width = this.leaves; width > 1; at >>= 1, level += width, width = (width + 1) >> 1) {
      if (!met && this.#known[level + at] === true) {
        if (!this.#is(level + at, hash)) return false;
        met = true;
      }
      if (at === width - 1 && width % 2 === 1) {
        if (!met) learned.push([level + at, hash]);
        continue;
      }
      const sibling = proof[used++];
      if (sibling === undefined) return false;
      if (met) {
        if (!this.#is(level + (at ^ 1), sibling)) return false;
      } else {
        learned.push([level + at, hash], [level + (at ^ 1), sibling]);
        hash = at % 2 === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
      }
    }
    if (used !== proof.length || (!met && !this.#is(this.#root, hash))) return false;
    for (const [place, node] of learned) this.#set(place, node);
    return true;
  }
}
