import { types } from "node:util";
import { type Node, SLOT, type Slot } from "../format.ts";
import type { Graph } from "./graph.ts";
import { propertyText, type Trail } from "./trail.ts";

type MemberSlot = (name: string, value: unknown, trail: Trail) => Slot;

interface RecordState {
  readonly id: Slot;
  readonly node: Node;
  readonly names: Set<string>;
}

/**
 * Objects that stand for modules: namespaces, `exports`, what compilers make of `import * as`. Only the members that
 * captured code uses travel, since a module may hold much that cannot.
 */
export class Records {
  private readonly states = new Map<object, RecordState>();
  private readonly graph: Graph;
  private readonly liveGetter: (getter: object) => object | null;

  /** @param liveGetter the getter that just gives a module's variable, if one is behind this getter: it goes on doing so */
  constructor(graph: Graph, liveGetter: (getter: object) => object | null) {
    this.graph = graph;
    this.liveGetter = liveGetter;
  }

  /**
   * The slot of a module object, with these members at least.
   *
   * @param members names that are used, or `null` for all
   * @param memberSlot how a member is written down
   */
  slot(value: object, members: readonly string[] | null, trail: Trail, memberSlot: MemberSlot): Slot {
    let state = this.states.get(value);
    if (!state) {
      const whole = this.graph.known(value);
      if (whole) return whole;
      const node: Node = { kind: types.isModuleNamespaceObject(value) ? "record" : "object", keys: [], values: [] };
      const complete = () => this.slot(value, null, trail, memberSlot);
      state = { id: this.graph.presetPartial(value, node, complete), node, names: new Set() };
      this.states.set(value, state);
    }
    for (const name of members ?? Object.getOwnPropertyNames(value)) {
      if (state.names.has(name)) continue;
      state.names.add(name);
      this.addMember(state.node, value, name, trail.into(propertyText(name)), memberSlot);
    }
    return state.id;
  }

  private addMember(node: Node, value: object, name: string, trail: Trail, memberSlot: MemberSlot): void {
    const getter = Object.getOwnPropertyDescriptor(value, name)?.get;
    if (!getter && !(name in value)) return;
    const live = getter && this.liveGetter(getter);
    const slot: Slot = live
      ? [SLOT.accessor, this.graph.slot(live, trail), [SLOT.undefined]]
      : memberSlot(name, readMember(value, name, trail), trail);
    node.keys!.push(name);
    node.values!.push(slot);
  }
}

/** Members of a module that is still being evaluated may have no value yet. */
function readMember(value: object, name: string, trail: Trail): unknown {
  try {
    return Reflect.get(value, name);
  } catch (cause) {
    throw trail.error("has no value yet at submit()", "Call submit() after its module has been evaluated.", { cause });
  }
}
