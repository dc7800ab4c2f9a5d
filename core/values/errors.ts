import { DecodeError } from "../errors.ts";
import { decodeValue } from "./decode.ts";
import { encodeRoot } from "./encode.ts";
import { describe, hide, isError } from "./error-parts.ts";

/**
 * The bytes of whatever was thrown. Of an Error travel name, message, stack, cause, the errors of an AggregateError, and
 * its own enumerable data properties that can; of those that cannot, nothing. Anything else that was thrown becomes
 * an Error that says so, with the value as its `cause`. Always succeeds.
 */
export function encodeError(thrown: unknown): Uint8Array {
  const error = isError(thrown) ? thrown : errorOf(thrown);
  try {
    return encodeRoot(error, "error");
  } catch {
    // Only an error beyond all bounds comes here: a message of gigabytes, a stack that is full.
    return encodeRoot(new Error(`${describe(error.name)}: ${describe(error.message)}`), "error");
  }
}

/**
 * The error whose bytes `encodeError` returned: an instance of the built-in class of its name if there is one, else
 * an Error with that name.
 *
 * @throws DecodeError if the bytes are anything else.
 */
export function decodeError(bytes: Uint8Array): Error {
  const value = decodeValue(bytes);
  if (!isError(value)) throw new DecodeError("not an error humq encoded: it is another value");
  return value;
}

function errorOf(thrown: unknown): Error {
  const message = `something that is not an Error was thrown: ${describe(thrown)}`;
  const error = new Error(message, { cause: thrown });
  // Its stack would show this function, not where the value was thrown.
  hide(error, "stack", undefined);
  return error;
}
