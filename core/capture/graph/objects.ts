import { types } from "node:util";
import type { Node, Slot } from "../format.ts";
import { SLOT } from "../format.ts";
import { bufferNode, viewNode } from "./binary.ts";
import type { Graph } from "./graph.ts";
import { ownProperties } from "./properties.ts";
import { refuseUnportable } from "./refuse.ts";
import { propertyText, type Trail } from "./trail.ts";

/** Arrays of numbers longer than this go as bytes. */
const PACK_NUMBERS_FROM = 32;

/**
 * An object of one of the kinds that the language itself makes; `null` for ordinary objects. Prototypes are the caller's.
 */
export function exoticNode(graph: Graph, value: object, trail: Trail): Node | null {
  refuseUnportable(value, trail);
  if (Array.isArray(value)) return arrayNode(graph, value, trail);
  if (types.isMap(value)) return mapNode(graph, value, trail);
  if (types.isSet(value)) {
    const items = [...setValues(value)].map((item, i) => graph.slot(item, trail.into(`.values()[${i}]`)));
    return { kind: "set", items, ...ownProperties(graph, value, trail) };
  }
  if (types.isDate(value))
    return { kind: "date", time: Date.prototype.getTime.call(value), ...ownProperties(graph, value, trail) };
  if (types.isRegExp(value)) {
    const source = sourceOf.call(value) as string;
    const flags = flagsOf.call(value) as string;
    return { kind: "regexp", source, flags, ...ownProperties(graph, value, trail) };
  }
  if (types.isArrayBuffer(value)) return bufferNode(graph, value, trail);
  if (ArrayBuffer.isView(value)) return viewNode(graph, value as NodeJS.ArrayBufferView, trail);
  if (types.isNativeError(value)) return errorNode(graph, value, trail);
  if (types.isBoxedPrimitive(value)) return boxedNode(graph, value, trail);
  // `callee` is another function, or throws.
  if (types.isArgumentsObject(value))
    return {
      kind: "arguments",
      ...ownProperties(graph, value, trail, (key) => key === "callee" || key === Symbol.iterator),
    };
  return null;
}

const sourceOf = Object.getOwnPropertyDescriptor(RegExp.prototype, "source")!.get!;
const flagsOf = Object.getOwnPropertyDescriptor(RegExp.prototype, "flags")!.get!;

/** The entries themselves, whatever a subclass does in its own iterator. */
function setValues(value: Set<unknown>): Iterable<unknown> {
  return Set.prototype.values.call(value);
}

function mapNode(graph: Graph, value: Map<unknown, unknown>, trail: Trail): Node {
  const items: Slot[] = [];
  let position = 0;
  for (const [key, item] of Map.prototype.entries.call(value)) {
    items.push(graph.slot(key, trail.into(`.keys()[${position}]`)));
    const text = typeof key === "string" ? `.get(${JSON.stringify(key.slice(0, 60))})` : `.values()[${position}]`;
    items.push(graph.slot(item, trail.into(text)));
    position++;
  }
  return { kind: "map", items, ...ownProperties(graph, value, trail) };
}

function arrayNode(graph: Graph, value: unknown[], trail: Trail): Node {
  const own = ownProperties(graph, value, trail, (key) => key === "length" || isIndex(key));
  // Array.prototype.every skips holes; a hole, and an element behind a getter, is not a number here.
  const numbers = value.length >= PACK_NUMBERS_FROM && isPlainNumbers(value);
  if (numbers) {
    const packed = Float64Array.from(value as number[]);
    return { kind: "numbers", blob: graph.blob(new Uint8Array(packed.buffer)), ...own };
  }
  const items: Slot[] = [];
  for (let i = 0; i < value.length; i++) {
    const descriptor = Object.getOwnPropertyDescriptor(value, i);
    if (!descriptor) {
      items.push([SLOT.hole]);
      continue;
    }
    const inner = trail.into(`[${i}]`);
    if (descriptor.get || descriptor.set)
      throw inner.error("is an array element behind a getter, which cannot travel", "Use a plain array.");
    items.push(graph.slot(descriptor.value, inner));
  }
  return { kind: "array", items, ...own };
}

function isPlainNumbers(value: readonly unknown[]): boolean {
  if (typeof Object.getOwnPropertyDescriptor(value, 0)?.value !== "number") return false;
  for (let i = 0; i < value.length; i++)
    if (typeof Object.getOwnPropertyDescriptor(value, i)?.value !== "number") return false;
  return true;
}

function isIndex(key: string | symbol): boolean {
  return typeof key === "string" && /^(?:0|[1-9]\d{0,9})$/.test(key) && Number(key) < 2 ** 32 - 1;
}

/** `stack` is a property with accessors of V8's own: its text travels. */
function errorNode(graph: Graph, value: Error, trail: Trail): Node {
  const own = ownProperties(graph, value, trail, (key) => key === "stack");
  const stack = value.stack;
  const keys = [...(own.keys ?? []), "stack"];
  const values = [...(own.values ?? []), graph.slot(stack, trail.into(propertyText("stack")))];
  const attributes = [...(own.attributes ?? []), keys.length - 1, 5];
  return { kind: "error", type: nativeErrorName(value), ...own, keys, values, attributes };
}

const ERROR_TYPES = [AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];

function nativeErrorName(value: Error): string {
  return ERROR_TYPES.find((type) => value instanceof type)?.name ?? "Error";
}

function boxedNode(graph: Graph, value: object, trail: Trail): Node {
  const isText = types.isStringObject(value);
  const primitive = isText
    ? String.prototype.valueOf.call(value)
    : types.isSymbolObject(value)
      ? Symbol.prototype.valueOf.call(value)
      : types.isBigIntObject(value)
        ? BigInt.prototype.valueOf.call(value)
        : types.isBooleanObject(value)
          ? Boolean.prototype.valueOf.call(value)
          : Number.prototype.valueOf.call(value);
  const own = ownProperties(graph, value, trail, (key) => isText && (key === "length" || isIndex(key)));
  return { kind: "boxed", value: graph.slot(primitive, trail), ...own };
}
