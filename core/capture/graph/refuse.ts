import { types } from "node:util";
import { builtinPath, intrinsicPath } from "./intrinsics.ts";
import type { Trail } from "./trail.ts";

interface Refusal {
  readonly is: (value: object) => boolean;
  readonly what: string;
  readonly fix: string;
}

/** Objects that are more than their properties, and what to do about each. */
const REFUSALS: readonly Refusal[] = [
  {
    is: types.isPromise,
    what: "a Promise",
    fix: "Await it before submit(), or start the work inside the function.",
  },
  {
    is: (value) => types.isWeakMap(value) || types.isWeakSet(value),
    what: "a WeakMap or WeakSet",
    fix: "Use a Map or Set, or make it inside the function.",
  },
  { is: (value) => value instanceof WeakRef, what: "a WeakRef", fix: "Capture the object itself (deref()) instead." },
  {
    is: types.isGeneratorObject,
    what: "a generator that has been started",
    fix: "Call the generator function inside the function, or collect its values in an array.",
  },
  {
    is: (value) => types.isMapIterator(value) || types.isSetIterator(value) || value instanceof Iterator,
    what: "an iterator",
    fix: "Collect its values in an array ([...iterator]).",
  },
  {
    is: types.isSharedArrayBuffer,
    what: "a SharedArrayBuffer",
    fix: "Memory cannot be shared with another machine: copy it into an ArrayBuffer.",
  },
  { is: types.isExternal, what: "a handle of a native addon", fix: "Open it inside the function." },
];

/** Classes of Node whose instances are nothing but their properties, or are written down specially. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set(["EventEmitter"]);

/** Prototypes of the language whose objects are handled, or that have no hidden state. */
const PLAIN_PROTOTYPES: ReadonlySet<string> = new Set(
  (
    "Object Function Array Map Set Date RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError " +
    "TypeError URIError SuppressedError ArrayBuffer DataView Number String Boolean Symbol BigInt Math JSON Iterator"
  ).split(" "),
);

/** @throws CaptureError for what cannot leave the process */
export function refuseUnportable(value: object, trail: Trail): void {
  const refusal = REFUSALS.find((each) => each.is(value));
  if (refusal) throw trail.error(`is ${refusal.what}, which cannot travel`, refusal.fix);
}

/**
 * For objects without a kind of their own: some class of Node or of the language in its prototype chain may keep state
 * outside of JavaScript.
 *
 * @param isBuiltinFunction whether a class is part of Node
 * @throws CaptureError naming that class
 */
export function refuseHiddenState(value: object, trail: Trail, isBuiltinFunction: (fn: object) => boolean): void {
  for (let link: object | null = Object.getPrototypeOf(value); link; link = Object.getPrototypeOf(link)) {
    if (link === Object.prototype) return;
    const name = hiddenClass(link, isBuiltinFunction);
    if (name !== null)
      throw trail.error(`is ${article(name)}, which cannot travel: part of it lives outside of JavaScript`, hint(name));
  }
}

/** The name of the class a prototype belongs to, if its instances are more than their properties. */
function hiddenClass(prototype: object, isBuiltinFunction: (fn: object) => boolean): string | null {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  const isClass = typeof type === "function" && type.prototype === prototype;
  const isListed = intrinsicPath(prototype, "members") !== null || builtinPath(prototype, "members") !== null;
  if (!isListed && !(isClass && isBuiltinFunction(type))) return null;
  const name = isClass ? type.name : "object of Node's own";
  if (PLAIN_CLASSES.has(name) || PLAIN_PROTOTYPES.has(name) || (isClass && isTypedArrayClass(type))) return null;
  return name;
}

function isTypedArrayClass(type: object): boolean {
  return Object.getPrototypeOf(type) === Object.getPrototypeOf(Uint8Array);
}

function article(name: string): string {
  return /^[aeiou]/i.test(name) ? `an ${name}` : `a ${name}`;
}

function hint(name: string): string {
  if (/Socket|Server|Stream|Handle|Readable|Writable|Duplex|Agent|Worker|Process|Port|Channel|Database/.test(name))
    return "Open it inside the function: each worker then has its own.";
  if (/Key/.test(name)) return "Export it here, and import it inside the function.";
  return "Make it inside the function, or capture the plain data it is made from.";
}
