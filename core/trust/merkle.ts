/** Merkle trees as in RFC 9162 section 2.1: leaves and nodes are hashed apart, an odd last node moves up unchanged. */
import { createHash } from "node:crypto";

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

export function leafHash(leaf: Uint8Array): Uint8Array {
  return createHash("sha256").update(LEAF).update(leaf).digest();
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash("sha256").update(NODE).update(left).update(right).digest();
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
