import { ATTRIBUTE, type Node, SLOT, type Slot } from "../format.ts";
import { setPrivates, setStatics } from "./classes.ts";
import type { Values } from "./values.ts";

/** What a kind of object holds besides properties: entries, elements, private fields. */
export function fillStatics(values: Values, node: Node, value: unknown): void {
  if (node.construct) {
    const lists = node.construct.privates.map((slots) => slots.map((slot) => values.slot(slot)));
    setPrivates(values.slot(node.construct.class), value as object, lists);
  }
  switch (node.kind) {
    case "array":
      fillArray(values, node.items, value as unknown[]);
      return;
    case "map":
      for (let i = 0; i < node.items.length; i += 2)
        Map.prototype.set.call(value, values.slot(node.items[i]!), values.slot(node.items[i + 1]!));
      return;
    case "set":
      for (const item of node.items) Set.prototype.add.call(value, values.slot(item));
      return;
    case "date":
      Date.prototype.setTime.call(value, node.time);
      return;
    case "class":
      if (node.statics.length > 0)
        setStatics(
          value as object,
          node.statics.map((slot) => values.slot(slot)),
        );
      return;
    case "error":
      // Properties that a new error has by itself, and this one may not.
      for (const key of ["stack", "message", "errors"]) Reflect.deleteProperty(value as object, key);
      return;
    default:
      return;
  }
}

function fillArray(values: Values, items: readonly Slot[], array: unknown[]): void {
  array.length = items.length;
  items.forEach((item, i) => {
    if (Array.isArray(item) && item[0] === SLOT.hole) return;
    Object.defineProperty(array, i, { value: values.slot(item), writable: true, enumerable: true, configurable: true });
  });
}

/** Own properties, in their order. */
export function fillProperties(values: Values, node: Node, value: unknown): void {
  const { keys, values: slots, attributes = [] } = node;
  if (!keys || !slots) return;
  const target = value as Record<PropertyKey, unknown>;
  const bits = new Map<number, number>();
  for (let i = 0; i < attributes.length; i += 2) bits.set(attributes[i]!, attributes[i + 1]!);
  // Plain assignment is several times faster, and the same where no setter can be in the way.
  const simple = node.kind === "object" && node.prototype === undefined && !node.construct;
  keys.forEach((keySlot, i) => {
    const key = values.slot(keySlot) as PropertyKey;
    const slot = slots[i]!;
    const own = bits.get(i) ?? ATTRIBUTE.all;
    const isLive = Array.isArray(slot) && slot[0] === SLOT.live;
    if (isLive) {
      const [, live, name] = slot as unknown as [number, Slot, string];
      const variables = values.slot(live) as Record<string, unknown>;
      Object.defineProperty(target, key, { enumerable: true, configurable: true, get: () => variables[name] });
      return;
    }
    const isAccessor = Array.isArray(slot) && slot[0] === SLOT.accessor;
    if (simple && own === ATTRIBUTE.all && !isAccessor && key !== "__proto__") {
      target[key] = values.slot(slot);
      return;
    }
    const flags = {
      enumerable: (own & ATTRIBUTE.enumerable) !== 0,
      configurable: (own & ATTRIBUTE.configurable) !== 0,
    };
    if (isAccessor) {
      const [, get, set] = slot as unknown as [number, Slot, Slot];
      const accessors = { get: values.slot(get) as () => unknown, set: values.slot(set) as (v: unknown) => void };
      Object.defineProperty(target, key, { ...flags, ...accessors });
    } else {
      const writable = (own & ATTRIBUTE.writable) !== 0;
      Object.defineProperty(target, key, { ...flags, writable, value: values.slot(slot) });
    }
  });
}
