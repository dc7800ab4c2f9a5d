/** Stands in for @noble/ciphers/chacha.js in the bench's copy of humq that does not encrypt. */

export * from "@noble/ciphers/chacha.js";

/** Leaves the subkey as it is: no cipher takes it. */
export function hchacha(): void {}

/** The text as it is, in `output` where there is one. */
export function chacha20(_key: Uint8Array, _nonce: Uint8Array, text: Uint8Array, output?: Uint8Array): Uint8Array {
  if (output === undefined) return text.slice();
  output.set(text);
  return output;
}
