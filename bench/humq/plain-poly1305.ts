/** Stands in for @noble/ciphers/_poly1305.js in the bench's copy of humq that does not encrypt. */

export * from "@noble/ciphers/_poly1305.js";

/** The same tag for everything. */
export function poly1305(): Uint8Array {
  return new Uint8Array(16);
}
