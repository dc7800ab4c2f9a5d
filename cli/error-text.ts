/** An error that came back from a call, for people. */
import { DecodeError } from "../core/errors.ts";
import { describe } from "../core/values/error-parts.ts";
import { decodeError } from "../core/values/index.ts";
import { printable } from "./terminal.ts";

const MOST_CAUSES = 10;

function lines(error: Error): string {
  const { name, message, stack } = error;
  return typeof stack === "string" ? stack : `${describe(name)}: ${describe(message)}`;
}

/** The error that a worker stored; what is none, which only a hostile worker or file holds, must not hide the others. */
export function storedError(encoded: Uint8Array): Error {
  try {
    return decodeError(encoded);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    const error = new Error(`what is stored is no error: ${cause.message}`);
    // Its stack would show humq's files.
    error.stack = `${error.name}: ${error.message}`;
    return error;
  }
}

/** Name, message and stack, and the same of its causes. */
export function errorText(error: Error): string {
  const parts = [lines(error)];
  let { cause } = error;
  for (let depth = 0; cause !== undefined && depth < MOST_CAUSES; depth++) {
    parts.push(`caused by ${cause instanceof Error ? lines(cause) : describe(cause)}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return printable(parts.join("\n"));
}
