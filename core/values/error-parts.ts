import { inspect, types } from "node:util";

/** What travels of an Error. */
export interface ErrorParts {
  name: string;
  message: string;
  stack: string | undefined;
  /** Present if the error has a `cause` of its own, whatever it is. */
  cause?: unknown;
  /** Of an AggregateError. */
  errors?: readonly unknown[];
  properties: [key: string, value: unknown][];
}

/** Carried apart from other properties. */
const reserved = new Set(["name", "message", "stack", "cause"]);

/** The classes whose instances are made anew; an error of any other class comes back as an Error with its name. */
const builtIn = new Map<string, ErrorConstructor>(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

export function isReserved(key: string): boolean {
  return reserved.has(key);
}

export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

/**
 * What can be read of `error` without failing: an error must get to its reader, so a property that throws when read is
 * left out, and so are accessors and properties that are not enumerable, as structured clone does.
 */
export function partsOf(error: Error): ErrorParts {
  const parts: ErrorParts = {
    name: text(attempt(() => error.name)) ?? "Error",
    message: text(attempt(() => error.message)) ?? "",
    stack: text(attempt(() => error.stack)),
    properties: [],
  };
  if (Object.hasOwn(error, "cause")) parts.cause = attempt(() => error.cause);
  const errors = attempt(() => (Object.hasOwn(error, "errors") ? (error as AggregateError).errors : undefined));
  if (Array.isArray(errors)) parts.errors = errors;
  for (const key of Object.keys(error)) {
    if (reserved.has(key) || (key === "errors" && parts.errors)) continue;
    const property = Object.getOwnPropertyDescriptor(error, key);
    if (property && "value" in property) parts.properties.push([key, property.value]);
  }
  return parts;
}

/** An error of the class that `name` means, without the stack of this place. */
export function errorFrom(name: string, message: string): Error {
  const type = builtIn.get(name) ?? Error;
  const error = name === "AggregateError" ? new AggregateError([], message) : new type(message);
  if (error.name !== name) hide(error, "name", name);
  hide(error, "stack", message === "" ? name : `${name}: ${message}`);
  return error;
}

/** Sets a property as the engine sets those of errors: not enumerable. */
export function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, enumerable: false, configurable: true });
}

/** A value that cannot travel, in words, for where something has to stand in its place. */
export function describe(value: unknown): string {
  const words = attempt(() => inspect(value, { depth: 1, maxArrayLength: 10, maxStringLength: 500, breakLength: 120 }));
  return words === undefined ? typeof value : words.length > 1000 ? `${words.slice(0, 1000)}...` : words;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
