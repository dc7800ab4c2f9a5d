import { UnsupportedValueError } from "../errors.ts";
import { encodePieces, encodeRoot } from "./encode.ts";

export { decodeValue, errorLine } from "./decode.ts";
export { joined } from "./encode.ts";
export { decodeError, encodeError } from "./errors.ts";
export { MAX_DEPTH, MAX_ENCODED_BYTES } from "./format.ts";
export { jsonOf } from "./json.ts";

/**
 * The bytes of a call's arguments, an array once decoded. Objects that occur in several arguments stay the same object.
 *
 * @throws UnsupportedValueError with the path to what cannot travel: `argument 2, .config.socket` (arguments count from 1).
 */
export function encodeArguments(args: readonly unknown[]): Uint8Array {
  try {
    return encodeRoot(args, "arguments");
  } catch (error) {
    if (!(error instanceof UnsupportedValueError)) throw error;
    args.forEach((argument, index) => {
      encodeRoot(argument, `argument ${index + 1}`);
    });
    throw error; // each one by itself could travel: together they are too large
  }
}

/** The bytes of what a call returned. Throws UnsupportedValueError with a path such as `result, [3].x`. */
export function encodeResult(value: unknown): Uint8Array {
  return encodeRoot(value, "result");
}

/**
 * The same without a copy: in pieces where the value is large, some of them the value's own memory.
 */
export function encodeResultPieces(value: unknown): Uint8Array[] {
  return encodePieces(value, "result");
}

/**
 * The bytes of any value that can travel.
 *
 * @param what - What it is, to begin the path in an error with: `default of b`.
 * @throws UnsupportedValueError
 */
export function encodeValue(value: unknown, what: string): Uint8Array {
  return encodeRoot(value, what);
}
