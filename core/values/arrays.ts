import { inspect } from "node:util";

/** Up to this length listing the keys costs less than asking `inspect`. */
const SHORT = 64;

const inspectNothing = { maxArrayLength: 0, depth: 0, customInspect: false, breakLength: Infinity } as const;
const nothingButItems = /^\[ \.\.\. \d+ more items? \]$/;

/**
 * Whether `array` has every index from 0 to its length and no named properties (as the result of a regular expression
 * has), so that its items are all there is to it.
 */
export function isOnlyItems(array: readonly unknown[]): boolean {
  if (array.length <= SHORT) return keysAreIndexes(array);
  for (let i = 0; i < array.length; i++) {
    if (array[i] === undefined && !Object.hasOwn(array, i)) return false;
  }
  // Listing a million keys takes ten times as long as encoding them; `inspect` skips indexes natively. Any other answer
  // of it than the one looked for only means the slow way.
  return nothingButItems.test(inspect(array, inspectNothing)) || keysAreIndexes(array);
}

function keysAreIndexes(array: readonly unknown[]): boolean {
  const keys = Object.keys(array);
  // Indexes come first, in order, so the last key tells whether there are others.
  return keys.length === array.length && (keys.length === 0 || keys[keys.length - 1] === String(keys.length - 1));
}
