/** Large values in parts: how they are cut, and what tells the sealed parts of one run's large result from those of another. */
import { createHash } from "node:crypto";
import { AUTH_TAG_BYTES, NONCE_BYTES } from "./seal.ts";

/**
 * Collects the marks of parts in their order: nonce and authentication tag of each, which no two parts share that were
 * sealed. Which tag, call and place a part is of its seal says; without the key nobody makes another part that has
 * the same mark and opens. So the parts themselves need not be hashed, which takes longer than opening them.
 */
export class PartMarks {
  readonly #hash = createHash("sha256");

  /** @param sealed a whole part; or its beginning and its end, in pieces of at least a nonce and a tag */
  add(sealed: Uint8Array, end: Uint8Array = sealed): void {
    this.#hash.update(sealed.subarray(0, NONCE_BYTES)).update(end.subarray(end.length - AUTH_TAG_BYTES));
  }

  /** 32 bytes. */
  digest(): Uint8Array {
    return this.#hash.digest();
  }
}

/** Cuts bytes in pieces into parts of `partBytes`, the last one shorter, each in pieces again. */
export function* cutPieces(pieces: readonly Uint8Array[], partBytes: number): Generator<Uint8Array[]> {
  let part: Uint8Array[] = [];
  let room = partBytes;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; ) {
      const taken = piece.subarray(from, from + room);
      part.push(taken);
      from += taken.length;
      room -= taken.length;
      if (room > 0) continue;
      yield part;
      part = [];
      room = partBytes;
    }
  }
  if (part.length > 0) yield part;
}
