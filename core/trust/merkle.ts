/** Merkle trees as in RFC 9162 section 2.1: leaves and nodes are hashed apart, an odd last node moves up unchanged. */
import { createHash, hash as hashAtOnce } from "node:crypto";

export const HASH_BYTES = 32;
const LEAF = Buffer.from([0]);
/** Up to here a copy and one call cost less than a hash object. */
const COPY_BYTES = 8 * 1024;

/** Where what is hashed is put together: hashing at once wants it in one piece. */
const leafInput = Buffer.alloc(1 + COPY_BYTES, 0);
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

export function leafHash(leaf: Uint8Array): Uint8Array {
  if (leaf.length > COPY_BYTES) return createHash("sha256").update(LEAF).update(leaf).digest();
  leafInput.set(leaf, 1);
  return hashAtOnce("sha256", leafInput.subarray(0, 1 + leaf.length), "buffer");
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return hashAtOnce("sha256", nodeInput, "buffer");
}

/** All levels of the tree over `leaves` (hashes), the leaves first, the root last. */
export function treeOf(leaves: readonly Uint8Array[]): Uint8Array[][] {
  if (leaves.length === 0) throw new RangeError("a tree needs a leaf");
  const levels: Uint8Array[][] = [[...leaves]];
  for (let level = levels[0]!; level.length > 1; level = levels.at(-1)!) {
    const above: Uint8Array[] = [];
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(level[i]!, level[i + 1]!));
    if (level.length % 2 === 1) above.push(level.at(-1)!);
    levels.push(above);
  }
  return levels;
}

/** The siblings on the way from leaf `position` to the root. */
export function proofOf(levels: readonly Uint8Array[][], position: number): Uint8Array[] {
  const proof: Uint8Array[] = [];
  let at = position;
  for (const level of levels.slice(0, -1)) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) proof.push(sibling);
    at >>= 1;
  }
  return proof;
}

/** The root that `proof` leads to from a leaf, or undefined where its length does not fit the tree. */
export function rootOf(
  leaf: Uint8Array,
  position: number,
  leaves: number,
  proof: readonly Uint8Array[],
): Uint8Array | undefined {
  if (position >= leaves) return undefined;
  let hash = leaf;
  let used = 0;
  for (let at = position, width = leaves; width > 1; at >>= 1, width = (width + 1) >> 1) {
    if (at === width - 1 && width % 2 === 1) continue;
    const sibling = proof[used++];
    if (sibling === undefined) return undefined;
    hash = at % 2 === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
  }
  return used === proof.length ? hash : undefined;
}
