/** What tells the sealed parts of one run's large result from those of another. */
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
