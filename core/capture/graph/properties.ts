import { types } from "node:util";
import { ATTRIBUTE, type Integrity, type ObjectParts, SLOT, type Slot } from "../format.ts";
import { inspectorSession } from "../inspect/session.ts";
import type { Graph } from "./graph.ts";
import { propertyText, type Trail } from "./trail.ts";

/**
 * Writes down own properties as they are: a getter travels as code and does not run.
 *
 * @param skip keys that the kind of object makes by itself
 */
export function ownProperties(
  graph: Graph,
  value: object,
  trail: Trail,
  skip: (key: string | symbol, descriptor: PropertyDescriptor) => boolean = () => false,
): ObjectParts {
  const keys: Slot[] = [];
  const values: Slot[] = [];
  const attributes: number[] = [];
  for (const key of ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (!descriptor || skip(key, descriptor)) continue;
    const inner = trail.into(propertyText(key));
    const bits = attributeBits(descriptor);
    if (bits !== ATTRIBUTE.all) attributes.push(keys.length, bits);
    keys.push(graph.slot(key, inner));
    noteHome(graph, value, descriptor);
    if (descriptor.get || descriptor.set)
      values.push([SLOT.accessor, graph.slot(descriptor.get, inner), graph.slot(descriptor.set, inner)]);
    else values.push(graph.slot(descriptor.value, inner));
  }
  const parts: ObjectParts = {};
  if (keys.length > 0) Object.assign(parts, { keys, values });
  if (attributes.length > 0) parts.attributes = attributes;
  const integrity = integrityOf(value);
  if (integrity) parts.integrity = integrity;
  return parts;
}

function noteHome(graph: Graph, holder: object, { value, get, set }: PropertyDescriptor): void {
  for (const fn of [value, get, set]) if (typeof fn === "function" && !graph.homes.has(fn)) graph.homes.set(fn, holder);
}

/** Longer arrays are asked for their named properties only: their elements are written down by other means. */
const LONG_ARRAY = 10_000;

function ownKeys(value: object): (string | symbol)[] {
  const long =
    (Array.isArray(value) || ArrayBuffer.isView(value)) && (value as { length?: number }).length! > LONG_ARRAY;
  if (!long || types.isProxy(value)) return Reflect.ownKeys(value);
  return [...inspectorSession().namedKeys(value), ...Object.getOwnPropertySymbols(value)];
}

function attributeBits(descriptor: PropertyDescriptor): number {
  const accessor = descriptor.get !== undefined || descriptor.set !== undefined;
  return (
    (accessor || descriptor.writable ? ATTRIBUTE.writable : 0) |
    (descriptor.enumerable ? ATTRIBUTE.enumerable : 0) |
    (descriptor.configurable ? ATTRIBUTE.configurable : 0)
  );
}

function integrityOf(value: object): Integrity | null {
  if (Object.isExtensible(value)) return null;
  // Typed arrays with elements can be neither, and say so here too.
  if (Object.isFrozen(value)) return "frozen";
  return Object.isSealed(value) ? "sealed" : "fixed";
}
