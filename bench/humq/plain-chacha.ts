/** Stands in for @noble/ciphers/chacha.js in the bench's copy of humq that does not encrypt. */

export * from "@noble/ciphers/chacha.js";

/** Leaves the subkey as it is: no cipher takes it. */
export function hchacha(): void {}
