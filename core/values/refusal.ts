import { EventEmitter } from "node:events";
import { types } from "node:util";

/** Why values made by a class cannot travel; decided once a class, since its source has to be looked at. */
const verdicts = new WeakMap<object, string | undefined>();

/**
 * A declared private field in a class's source: `#name` at the start of a member, before `=`, `;` or the end of the line.
 * Private fields cannot be seen from outside in any other way.
 */
const privateField = /[{};\n]\s*#[\p{ID_Start}$_][\p{ID_Continue}$]*\s*[=;\n}]/u;

/**
 * Why `value`, which is none of the types that travel as what they are, cannot travel as a plain object; undefined if it can.
 * Only what would lose data is refused: an instance of a class with plain data in it arrives as a plain object.
 */
export function refusal(value: object): string | undefined {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return refusalOfExotic(value);
  // Object.prototype of another realm, such as a vm context.
  if (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf")) return undefined;
  if (!verdicts.has(prototype)) verdicts.set(prototype, refusalOfClass(value, prototype));
  return verdicts.get(prototype) ?? refusalOfHiddenState(value);
}

function refusalOfExotic(value: object): string | undefined {
  return types.isExternal(value) ? "a handle of a native addon cannot travel" : undefined;
}

function refusalOfClass(value: object, prototype: object): string | undefined {
  const known = refusalOfKnown(value);
  if (known) return known;
  const name = className(prototype);
  for (let link: object | null = prototype; link; link = Object.getPrototypeOf(link)) {
    const type = Object.getOwnPropertyDescriptor(link, "constructor")?.value;
    if (typeof type !== "function" || type === Object) continue;
    const source = Function.prototype.toString.call(type);
    if (source.includes("[native code]")) {
      if (Object.getPrototypeOf(link) === null) continue; // Object of another realm
      return `a ${name} cannot travel: its state is outside JavaScript; send what is needed to make it again`;
    }
    if (privateField.test(source)) {
      return `a ${name} cannot travel: its private fields (#...) would be lost; send a plain object made from it`;
    }
  }
  return undefined;
}

function refusalOfKnown(value: object): string | undefined {
  if (types.isPromise(value)) return "a promise cannot travel; await it first";
  if (types.isWeakMap(value) || types.isWeakSet(value) || value instanceof WeakRef) {
    return `a ${className(Object.getPrototypeOf(value))} cannot travel: what it refers to stays here; send a Map, Set or array`;
  }
  if (types.isGeneratorObject(value)) return "a generator cannot travel; send an array made from it ([...generator])";
  if (value instanceof Iterator) {
    return "an iterator cannot travel; send an array made from it ([...iterator])";
  }
  if (types.isSharedArrayBuffer(value)) {
    return "a SharedArrayBuffer cannot be shared with another process; send a copy (a typed array)";
  }
  if (value instanceof EventEmitter || value instanceof EventTarget) {
    const name = className(Object.getPrototypeOf(value));
    return `a ${name} cannot travel: its connections and listeners belong to this process; send what is needed to make it again (a path, a host and port) and make it inside the task`;
  }
  return undefined;
}

/** Node's own classes keep their state under symbols, others in properties that are not enumerable. */
function refusalOfHiddenState(value: object): string | undefined {
  const own = Reflect.ownKeys(value);
  if (own.length === Object.keys(value).length) return undefined;
  const hidden = own.find((key) => typeof key === "symbol" || !Object.prototype.propertyIsEnumerable.call(value, key));
  const name = className(Object.getPrototypeOf(value));
  return `a ${name} cannot travel: its hidden property ${String(hidden)} would be lost; send a plain object made from it`;
}

function className(prototype: object): string {
  const type = (prototype as { constructor?: unknown }).constructor;
  return (typeof type === "function" && type.name) || "class instance";
}
