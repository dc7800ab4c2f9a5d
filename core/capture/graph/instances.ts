import type { Node, ObjectParts } from "../format.ts";
import { inspectorSession } from "../inspect/session.ts";
import { bodyMembers } from "./members.ts";
import type { CodeOrigin, Origin } from "./origin.ts";
import type { Trail } from "./trail.ts";
import type { Walk } from "./walk.ts";

/** Objects that a class can make empty and that are filled afterwards. */
const REFILLABLE: ReadonlySet<Node["kind"]> = new Set(["object", "array", "map", "set", "date", "error"]);

interface ClassInChain {
  readonly type: object;
  readonly origin: CodeOrigin & Origin;
  readonly privateFields: number;
  readonly hasPrivates: boolean;
}

/** What makes an object an instance of its classes: its prototype, or, where they have private names, its constructor. */
export function instanceParts(
  walk: Walk,
  value: object,
  node: Node,
  defaultPrototype: object | null,
  trail: Trail,
): Pick<ObjectParts, "prototype" | "construct"> {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === defaultPrototype) return {};
  const classes = classChain(walk, prototype);
  if (!classes.some((each) => each.hasPrivates))
    return { prototype: walk.graph.slot(prototype, trail.into(".[[Prototype]]")) };
  const [first] = classes;
  for (const { type, origin, hasPrivates } of classes) {
    if (origin.kind !== "package" || !walk.packages.ofFunction(type, origin)) {
      walk.modules.of(origin.script).restorable.add(type);
      continue;
    }
    const name = (type as { name: string }).name;
    throw trail.error(
      `is an instance of ${name} of the package in ${origin.folder.replace(/^.*node_modules./, "")}, ` +
        (hasPrivates ? "which has private fields" : "extended by a class with private fields"),
      "Make it inside the function.",
    );
  }
  if (!REFILLABLE.has(node.kind))
    throw trail.error(
      `is a ${node.kind} of a class with private fields, which cannot travel`,
      "Make it inside the function.",
    );
  const { privates } = inspectorSession().inspect(value);
  const bottomUp = classes.toReversed();
  const expected = bottomUp.reduce((sum, each) => sum + each.privateFields, 0);
  if (privates.length !== expected)
    throw trail.error("has private fields that cannot be told apart", "Make it inside the function.");
  const left = [...privates];
  const slots = bottomUp.map((each) =>
    left
      .splice(0, each.privateFields)
      .map(({ name, value: stored }) => walk.graph.slot(stored, trail.into(`.${name}`))),
  );
  return { construct: { class: walk.graph.slot(first!.type, trail.into(".constructor")), privates: slots } };
}

/** The classes with text of their own in a prototype chain, the most derived first. */
function classChain(walk: Walk, prototype: object | null): ClassInChain[] {
  const classes: ClassInChain[] = [];
  for (let link = prototype; link; link = Object.getPrototypeOf(link)) {
    const known = walk.classes.get(link);
    const found = known === undefined ? classOf(walk, link) : known;
    walk.classes.set(link, found);
    if (found) classes.push(found);
  }
  return classes;
}

function classOf(walk: Walk, prototype: object): ClassInChain | null {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  if (typeof type !== "function" || type.prototype !== prototype) return null;
  const origin = walk.origins.of(type);
  if (origin.kind !== "user" && origin.kind !== "package") return null;
  const members = bodyMembers(origin).filter((member) => !member.isStatic && member.isPrivate);
  const privateFields = members.filter((member) => member.isPrivateField).length;
  return { type, origin, privateFields, hasPrivates: members.length > 0 };
}

export type { ClassInChain };
