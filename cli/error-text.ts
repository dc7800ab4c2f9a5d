/** An error that came back from a call, for people. */
import { describe } from "../core/values/error-parts.ts";
import { printable } from "./terminal.ts";

const MOST_CAUSES = 10;

function lines(error: Error): string {
  const { name, message, stack } = error;
  return typeof stack === "string" ? stack : `${describe(name)}: ${describe(message)}`;
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
