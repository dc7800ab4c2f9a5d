import { UnsupportedValueError } from "../errors.ts";
import { Encoder, Refusal } from "./encoder.ts";
import { describe } from "./error-parts.ts";
import { MAX_ENCODED_BYTES } from "./format.ts";
import { formatPath, type Step } from "./trail.ts";
import { TooLarge } from "./writer.ts";

/** The bytes of `value` in one piece; see {@link encodePieces}. */
export function encodeRoot(value: unknown, what: string): Uint8Array {
  return joined(encodePieces(value, what));
}

/** What `encodePieces` gave, in one piece. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

/**
 * The bytes of `value`, in pieces where it is large: those of byte strings and typed arrays are its own, so it must not change
 * until they are used.
 *
 * @param what - What the value is, for the path in an error: `result`, `argument 2`.
 * @throws UnsupportedValueError if it, or something in it, cannot leave this process.
 */
export function encodePieces(value: unknown, what: string): Uint8Array[] {
  try {
    return encodeGraph(value);
  } catch (failure) {
    // Nobody pays for the path but those who need it: the same walk once more, now with its steps kept.
    const trail: Step[] = [];
    try {
      new Encoder(trail).encode(value);
    } catch (again) {
      throw new UnsupportedValueError(formatPath(what, trail), reasonOf(again), causeOf(again));
    }
    throw new UnsupportedValueError(what, reasonOf(failure), causeOf(failure));
  }
}

function encodeGraph(value: unknown): Uint8Array[] {
  const first = new Encoder();
  const bytes = first.encode(value);
  if (!first.repeated) return bytes;
  // Values that occur more than once are only known now; they are marked where they first occur.
  return new Encoder(undefined, first.repeated).encode(value);
}

function reasonOf(failure: unknown): string {
  if (failure instanceof Refusal) return failure.message;
  if (failure instanceof TooLarge) {
    return `too large: at most ${MAX_ENCODED_BYTES / 1024 / 1024} MB can travel as one value; put it in a file or split it`;
  }
  if (failure instanceof RangeError && failure.message.includes("call stack")) {
    return "nested too deeply for the stack; send a flat array instead of a chain of objects";
  }
  return `it could not be read: ${describe(failure)}`;
}

function causeOf(failure: unknown): ErrorOptions {
  return failure instanceof Refusal || failure instanceof TooLarge ? {} : { cause: failure };
}
