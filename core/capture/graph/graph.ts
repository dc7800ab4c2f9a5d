import { types } from "node:util";
import { encodeWtf8 } from "../../values/wtf8.ts";
import { type Node, SLOT, type Slot } from "../format.ts";
import { wellKnownSymbol } from "./intrinsics.ts";
import type { Trail } from "./trail.ts";

/** The wrapper that `task()` returns keeps the original function here; inside other tasks it means that function. */
const TASK = Symbol.for("humq.task");

/** Writes down one object, function or unique symbol. */
export type NodeMaker = (value: object | symbol, trail: Trail, id: number) => Node;

/**
 * The values found so far, each with its number. An explicit queue takes the place of recursion: a linked list of a million
 * elements is no problem.
 */
export class Graph {
  readonly nodes: Node[] = [];
  readonly blobs: Uint8Array[] = [];
  /** The object each method was found in: what `super` means in it. */
  readonly homes = new Map<object, object>();
  private readonly ids = new Map<object | symbol, number>();
  private readonly queue: (() => void)[] = [];
  private readonly partials = new Map<object, () => void>();
  private readonly make: NodeMaker;

  constructor(make: NodeMaker) {
    this.make = make;
  }

  /** Writes down a value, now if it is simple, else by reference to a node that {@link drain} fills in. */
  slot(value: unknown, trail: Trail): Slot {
    switch (typeof value) {
      case "undefined":
        return [SLOT.undefined];
      case "boolean":
        return value;
      case "string":
        return value.isWellFormed() ? value : [SLOT.wtf8, encodeWtf8(value)];
      case "number":
        return Object.is(value, -0) ? [SLOT.negativeZero] : value;
      case "bigint":
        return [SLOT.bigint, value.toString()];
      case "symbol":
        return this.symbolSlot(value, trail);
      default:
        return value === null ? null : this.reference(unwrapTask(value as object), trail);
    }
  }

  /** The slot of something that has a node already. */
  known(value: object): Slot | null {
    const id = this.ids.get(unwrapTask(value));
    return id === undefined ? null : [SLOT.node, id];
  }

  /** The node of something, as far as it is filled in. */
  nodeOf(value: object): Node | null {
    const id = this.ids.get(unwrapTask(value));
    return id === undefined ? null : this.nodes[id]!;
  }

  /** Gives an object a node that is known already; keeps what it has. */
  preset(value: object, node: Node): Slot {
    let id = this.ids.get(value);
    if (id === undefined) {
      id = this.nodes.push(node) - 1;
      this.ids.set(value, id);
    }
    return [SLOT.node, id];
  }

  /** Like {@link preset}, for an object of which only parts travel, until something refers to it as a whole. */
  presetPartial(value: object, node: Node, complete: () => void): Slot {
    this.partials.set(value, complete);
    return this.preset(value, node);
  }

  /** A node that stands for no object of this process. */
  add(node: Node): Slot {
    this.nodes.push(node);
    return [SLOT.node, this.nodes.length - 1];
  }

  blob(bytes: Uint8Array): number {
    this.blobs.push(bytes);
    return this.blobs.length - 1;
  }

  /** Does something after the nodes that wait already. */
  later(work: () => void): void {
    this.queue.push(work);
  }

  /** Fills in all nodes that have been referred to. */
  drain(): void {
    for (let next = 0; next < this.queue.length; next++) this.queue[next]!();
    this.queue.length = 0;
  }

  private reference(value: object | symbol, trail: Trail): Slot {
    let id = this.ids.get(value);
    if (id !== undefined && typeof value === "object") {
      const complete = this.partials.get(value);
      this.partials.delete(value);
      complete?.();
    }
    if (id === undefined) {
      id = this.nodes.length;
      const own = id;
      this.ids.set(value, own);
      this.nodes.push({ kind: "object" });
      this.queue.push(() => {
        this.nodes[own] = this.make(value, trail, own);
      });
    }
    return [SLOT.node, id];
  }

  private symbolSlot(symbol: symbol, trail: Trail): Slot {
    const registered = Symbol.keyFor(symbol);
    if (registered !== undefined) return [SLOT.registeredSymbol, registered];
    const wellKnown = wellKnownSymbol(symbol);
    return wellKnown === null ? this.reference(symbol, trail) : [SLOT.wellKnownSymbol, wellKnown];
  }
}

function unwrapTask(value: object): object {
  if (typeof value !== "function" || types.isProxy(value)) return value;
  const original = Object.getOwnPropertyDescriptor(value, TASK)?.value;
  return typeof original === "function" ? original : value;
}

/** Whether two slots refer to the same node. */
export function sameNode(a: Slot, b: Slot): boolean {
  return Array.isArray(a) && Array.isArray(b) && a[0] === SLOT.node && b[0] === SLOT.node && a[1] === b[1];
}
